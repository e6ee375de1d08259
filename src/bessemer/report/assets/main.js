// What the page shows, in order. A section that has nothing to show is left out, and a view without sections too.

// [id, name in the navigation]
const VIEWS = [
  ["overview", "Overview"], ["performance", "Performance"], ["weak", "Weak spots"], ["why", "Explanations"], ["rows", "Single rows"],
  ["making", "Training"], ["data", "Data"], ["robustness", "Robustness"], ["about", "About"],
];

// [view, id, title, introduction, the function that makes its body of the page's data].
const SECTIONS = [
  ["overview", "summary", "Summary", null, summary],
  ["performance", "gates", "Gates", "Whether the model may ship, and whether it is better than something simpler.", gates],
  ["performance", "metrics", "Metrics", "How well it predicts rows it has never seen.", metrics],
  ["performance", "further", "Other targets", "What the same model predicts besides; all other figures are of the main target.", furtherTargets],
  ["weak", "weak-slices", "Weak slices", "Parts of the test rows, by one to three columns, where the model is worse than elsewhere.", weakSlices],
  ["weak", "slices", "By column", "Whether it is equally good everywhere. An interval that clears the dashed line is hardly chance.", slices],
  ["weak", "apart", "What sets them apart", "How two groups of test rows differ, in their values and in what moved their predictions.", apart],
  ["weak", "fairness", "Fairness", "Whether groups are treated alike.", fairness],
  ["weak", "doubts", "Doubts", "What may make the figures better or worse than they are.", doubts],
  ["why", "importance", "Importance", "Which columns the model leans on.", importance],
  ["why", "dependence", "Column by column", "What a column does to the score, by its value, and which other columns change that.", dependence],
  ["why", "interactions", "Interactions", "Pairs of columns that say more together than apart.", interactions],
  ["why", "surrogate", "In a few rules", null, surrogate],
  ["why", "prototypes", "Typical rows", null, prototypes],
  ["rows", "examples", "Row by row", "Single test rows, from the base to their score.", examples],
  ["rows", "whatif", "What if", "Change a value and see what the model would say. The model that ships computes it, in this page.", whatIf],
  ["rows", "trees", "Trees", "The model's trees one by one. The path of the row above is marked.", treesView],
  ["making", "training", "Training", "How it was found.", training],
  ["making", "features", "Features", "What the learner sees, computed inside the model from the raw columns.", features],
  ["data", "data", "Data", "What it learned from.", data],
  ["data", "data-columns", "Columns", "A click on a name shows its distribution in each part of the split and by target.", dataColumns],
  ["data", "data-associations", "Associations", "Which columns tell the target, and which say the same.", dataAssociations],
  ["data", "data-missing", "Missing values", "Empty texts and infinities among them, as the model takes them.", dataMissing],
  ["data", "data-drift", "Drift between parts", "Whether the rows that judge the model are of the kind it learned from.", dataDrift],
  ["data", "data-broken", "Rows set aside", "What broke the data contract.", dataBroken],
  ["robustness", "robustness", "Robustness", "How it does under attack.", robustness],
  ["robustness", "certificate", "Watermark", "Whose model it is.", (D) => D.certificate && card("Certificate", null, facts(D.certificate))],
  ["about", "card", "Model card", null, modelCard],
  ["about", "provenance", "Provenance", "The same project, data and seed give the same bytes.", provenance],
  ["about", "timings", "Where the time went", null, timings],
];

const DATA = JSON.parse(document.getElementById("bessemer-data").textContent);
openPage(VIEWS, SECTIONS, DATA);
