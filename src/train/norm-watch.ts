import { median } from '../averages.ts';

/** The median is taken over at most the first number of norms; there is no warning before the second number. */
const [windowSize, minNorms] = [100, 20];
/** A norm of this many times the median triggers a warning. */
const limit = 20;
/** An event ends after this many steps without such a norm. */
const quietSteps = 20;

/** Watches the gradient norms of a run, from the start of the process, for steps that may derail training. */
export class NormWatch {
  readonly #norms: number[] = [];
  #sinceLast = quietSteps;

  /** Takes the norm of an applied step. Returns a warning at the first step of each event. */
  hear(step: number, norm: number): string | undefined {
    const middle = median(this.#norms);
    const isHigh = this.#norms.length >= minNorms && norm > limit * middle;
    this.#norms.push(norm);
    if (this.#norms.length > windowSize) this.#norms.shift();
    const isNew = isHigh && this.#sinceLast >= quietSteps;
    this.#sinceLast = isHigh ? 0 : this.#sinceLast + 1;
    if (!isNew) return undefined;
    return (
      `step ${step}: the gradient norm, ${short(norm)}, is ${Math.round(norm / middle)} times its median, ${short(middle)}; ` +
      'one such step can ruin a model: if the loss stays high or this happens again, lower train.peakLearningRate or train.clipNorm, ' +
      'raise train.warmupRatio, or start a new BERT with train.outputBias=frequencies'
    );
  }
}

const short = (value: number) => String(Number(value.toPrecision(3)));
