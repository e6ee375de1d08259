// The model in the page: unpacked once, when it is first needed.

class PageModel {
  constructor(facts, head) {
    this.facts = facts;
    this.graph = new OnnxGraph(head, facts.fields);
    this.explained = [];
  }
  shapley(forest) { return (this.explained[forest] ||= new Shapley(this.graph.trees[forest])); }

  // What the model says of a row: {label, index, chances, score, features, forests, why}.
  answer(D, row) {
    const made = this.graph.run([row]), chances = made.probability && Array.from(made.probability.data), index = chances ? chances.indexOf(Math.max(...chances)) : 0;
    const output = D.task === "multiclass" ? index : 0, value = made.prediction.data[0];
    const label = made.prediction.type === "bool" ? Boolean(value) : typeof value === "bigint" ? Number(value) : value;
    return { label, chances, score: made.score.data[output], features: made.features.data, forests: made.forests, why: contributionsOf(this, made, output) };
  }
}

const MODELS = new WeakMap();
function pageModel(D) {
  if (!MODELS.has(D.whatif)) MODELS.set(D.whatif, onnxUnpack(D.whatif.packed).then((head) => new PageModel(D.whatif, head)));
  return MODELS.get(D.whatif);
}
