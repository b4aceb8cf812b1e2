/** Tokens in a shingle: RefinedWeb compares runs of five tokens too (arXiv 2306.01116), FineWeb of five words (arXiv 2406.17557). */
export const shingleTokens = 5;
/** k, the bytes of a signature. The standard error of an estimate is `√(J(1 − J)/k)`: 0.025 at J = 0.8. */
export const signatureBytes = 256;
/** Bytes of a signature that form a band: documents of similarity s share one of the 32 bands with probability `1 − (1 − s⁸)³²`. */
export const bandBytes = 8;
/** The number of bands. */
export const numBands = signatureBytes / bandBytes;
/** Documents with at least this estimated similarity are near duplicates, as in NeMo Curator and in Lee et al. (arXiv 2107.06499). */
const nearSimilarity = 0.8;

const multiplier = 0x01000193;
/** The factor by which the token that leaves a shingle was multiplied since it entered. */
const leavingMultiplier = power(multiplier, shingleTokens);
const empty = 0xffffffff;

/**
 * Turns a document's tokens, added in chunks of any length, into a hash of all of them and a signature of the set of its
 * shingles: every run of five tokens, or the whole document if it is shorter.
 *
 * The signature is a MinHash by one permutation: each shingle is hashed once, to one of k bins and to a value, and a bin keeps
 * its smallest value. Filled bins are copied to random ones, in rounds that are the same for every document, until no bin is
 * empty (densification). For each value, one byte of its hash with its bin is kept (b-bit minwise hashing): copies of one value
 * have different bytes, so that two values that share a byte by chance do not share 256.
 *
 * Sources: Li, Owen and Zhang, "One permutation hashing", NeurIPS 2012; Mai et al., "On densification for minwise hashing", UAI
 * 2019, whose rounds cost k·ln k for a document of any length; Li and König, "b-Bit minwise hashing", WWW 2010.
 */
export class Signer {
  readonly #minima = new Uint32Array(signatureBytes);
  /** The hashes of the last tokens, each at its position modulo five. */
  readonly #window = new Int32Array(shingleTokens);
  #length = 0;
  #shingle = 0;
  #hash = 0;

  constructor() {
    this.reset();
  }

  /** Starts another document. */
  reset(): void {
    this.#minima.fill(empty);
    this.#window.fill(0);
    this.#length = 0;
    this.#shingle = 0;
    this.#hash = 0;
  }

  /** Adds more tokens. */
  add(tokens: Int32Array): void {
    const window = this.#window;
    const minima = this.#minima;
    let [length, shingle, hash] = [this.#length, this.#shingle, this.#hash];
    for (let i = 0; i < tokens.length; i++) {
      const token = mix(tokens[i]! + 1);
      const place = length++ % shingleTokens;
      shingle = (Math.imul(shingle, multiplier) + token - Math.imul(window[place]!, leavingMultiplier)) | 0;
      window[place] = token;
      hash = mix(hash ^ token);
      if (length >= shingleTokens) keepLeast(minima, shingle);
    }
    [this.#length, this.#shingle, this.#hash] = [length, shingle, hash];
  }

  /** A hash of all tokens in their order. */
  get hash(): number {
    return this.#hash >>> 0;
  }

  /** Writes the signature, k bytes, into `into`. */
  sign(into: Uint8Array): void {
    const minima = this.#minima;
    if (this.#length < shingleTokens) keepLeast(minima, this.#hash);
    const filled: number[] = [];
    for (let bin = 0; bin < signatureBytes; bin++) if (minima[bin] !== empty) filled.push(bin);
    let missing = signatureBytes - filled.length;
    for (const bin of filled) into[bin] = mix(minima[bin]! + bin) >>> 24;
    if (missing === 0) return;
    const isFilled = new Uint8Array(signatureBytes);
    for (const bin of filled) isFilled[bin] = 1;
    for (let round = 1; missing > 0; round++) {
      for (const bin of filled) {
        const target = mix(signatureBytes * round + bin) >>> 24;
        if (isFilled[target] === 1) continue;
        isFilled[target] = 1;
        into[target] = mix(minima[bin]! + target) >>> 24;
        missing--;
      }
    }
  }
}

function keepLeast(minima: Uint32Array, shingle: number): void {
  const bits = mix(shingle);
  const bin = bits >>> 24;
  const value = mix(bits + 0x2545f491) >>> 0;
  if (value < minima[bin]!) minima[bin] = value;
}

/**
 * The estimated Jaccard similarity of two sets of shingles, `(m/k − 1/256)/(1 − 1/256)` if m bytes of their signatures are equal:
 * of the bytes for different values, one in 256 is equal by chance. 0 if that is negative.
 */
export function similarity(a: Uint8Array, b: Uint8Array): number {
  let equal = 0;
  for (let i = 0; i < signatureBytes; i++) if (a[i] === b[i]) equal++;
  return Math.max(0, (equal / signatureBytes - 1 / 256) / (1 - 1 / 256));
}

/** Whether documents of an estimated similarity are near duplicates. */
export const isNear = (similarity: number) => similarity >= nearSimilarity;

/** Maps a 32-bit number to another one whose bits each depend on all bits. Source: the finalizer of MurmurHash3. */
export function mix(bits: number): number {
  let mixed = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}

function power(base: number, exponent: number): number {
  return exponent === 0 ? 1 : Math.imul(base, power(base, exponent - 1));
}
