/** A text and the number of its label. */
interface LabelledText {
  text: string;
  label: number;
}

const wordsOf = (text: string) => text.toLowerCase().match(/[\p{L}\p{M}\p{N}]+/gu) ?? [];

/**
 * Multinomial naive Bayes on words with add-one smoothing: predicts the label y with the highest
 * `log(n_y / n) + Σ_w log((c_yw + 1) / (c_y + V))`. n_y of the n training texts have the label y; their c_y words contain w c_yw
 * times; V is the number of different words in training. Words that are not in training are ignored.
 *
 * Source: Manning, Raghavan and Schütze 2008, Introduction to Information Retrieval, section 13.2.
 */
export function naiveBayes(train: readonly LabelledText[], numLabels: number): (text: string) => number {
  const texts = new Float64Array(numLabels);
  const words = new Float64Array(numLabels);
  const counts = new Map<string, Float64Array>();
  for (const { text, label } of train) {
    texts[label]! += 1;
    for (const word of wordsOf(text)) {
      const own = counts.get(word) ?? new Float64Array(numLabels);
      counts.set(word, own);
      own[label]! += 1;
      words[label]! += 1;
    }
  }
  return (text) => {
    const scores = texts.map((count) => Math.log(count / train.length));
    for (const word of wordsOf(text)) {
      const own = counts.get(word);
      if (own) for (const y of scores.keys()) scores[y]! += Math.log((own[y]! + 1) / (words[y]! + counts.size));
    }
    return scores.indexOf(Math.max(...scores));
  };
}
