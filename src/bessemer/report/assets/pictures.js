// Small pictures, drawn pixel by pixel.

function canvasOf(height, width, label, color) {
  const canvas = h("canvas", { width, height, class: "pixels", role: "img", "aria-label": label }), brush = canvas.getContext("2d"), made = brush.createImageData(width, height);
  for (let i = 0; i < height * width; i++) made.data.set([...color(i), 255], 4 * i);
  brush.putImageData(made, 0, 0);
  return canvas;
}

// Pixels 0 to 255, channels first.
function picture(one, pixels, label) {
  const [channels, height, width] = one.shape, plane = height * width;
  return canvasOf(height, width, label || "a test image", (i) => [0, 1, 2].map((c) => pixels[channels >= 3 ? c * plane + i : i]));
}

// What pixels add, -127 to 127, over a pale copy of their image: for in orange, against in blue.
const FOR = [185, 72, 12], AGAINST = [47, 107, 166];
function heat(one, label) {
  const [channels, height, width] = one.shape, plane = height * width;
  const grey = (i) => { let sum = 0; for (let c = 0; c < channels; c++) sum += one.image[c * plane + i]; return 212 + (0.16 * sum) / channels; };
  return canvasOf(height, width, label, (i) => { const v = one.map[i], ink = v < 0 ? AGAINST : FOR, a = Math.min(1, Math.abs(v) / 127) ** 0.7, pale = grey(i); return ink.map((c) => c * a + pale * (1 - a)); });
}
