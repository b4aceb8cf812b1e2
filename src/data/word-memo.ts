const maxWords = 500_000;
const maxUnits = 1 << 23;
const pending = -1;

/**
 * Words and their token ids, looked up by the UTF-16 units of a word in place in a text. It is a hash table in typed arrays: a
 * Map would need a separate string for each word of the text, which costs five times as much as the lookup.
 */
export class WordMemo {
  /** The number of words. */
  size = 0;
  /** One more than a word's number at the place that its hash gives or after it, or 0. */
  #slots = new Int32Array(1 << 12);
  #hashes = new Int32Array(1 << 10);
  /** Where the units of a word end in `#units`; they begin where those of the word before end. */
  #ends = new Int32Array(1 << 10);
  #units = new Uint16Array(1 << 13);
  /** Where the ids of a word begin in `#ids`, or `pending`; how many there are; and how many characters of the word are [UNK]. */
  #idStarts = new Int32Array(1 << 10);
  #idCounts = new Int32Array(1 << 10);
  #unknown = new Int32Array(1 << 10);
  #ids = new Int32Array(1 << 13);
  #numIds = 0;

  /** Whether it is time for a new memo: the arrays take 65 MB at the limits, and 130 MB if one batch of texts exceeds all of them. */
  get isFull(): boolean {
    return this.size > maxWords || this.#endOf(this.size - 1) > maxUnits || this.#numIds > maxUnits;
  }

  /** The number of the word from `start` to `end`, which is added if it is new. */
  numberOf(units: Uint16Array, start: number, end: number): number {
    let hash = 0;
    for (let i = start; i < end; i++) hash = (Math.imul(hash, 31) + units[i]!) | 0;
    const mask = this.#slots.length - 1;
    for (let slot = mix(hash) & mask; ; slot = (slot + 1) & mask) {
      const word = this.#slots[slot]! - 1;
      if (word < 0) return this.#add(units, start, end, hash, slot);
      if (this.#hashes[word] === hash && this.#is(word, units, start, end)) return word;
    }
  }

  /** Whether the ids of a word are set. */
  has(word: number): boolean {
    return this.#idStarts[word] !== pending;
  }

  /** Sets the ids of a word, and the number of its characters that are [UNK]. */
  set(word: number, ids: readonly number[], unknownCharacters: number): void {
    this.#ids = withRoom(this.#ids, this.#numIds + ids.length);
    this.#ids.set(ids, this.#numIds);
    this.#idStarts[word] = this.#numIds;
    this.#idCounts[word] = ids.length;
    this.#unknown[word] = unknownCharacters;
    this.#numIds += ids.length;
  }

  /** The ids of words, one after another, and the number of their characters that are [UNK]. */
  encode(words: readonly number[]): { ids: Int32Array; unknownCharacters: number } {
    let length = 0;
    let unknownCharacters = 0;
    for (const word of words) {
      length += this.#idCounts[word]!;
      unknownCharacters += this.#unknown[word]!;
    }
    const ids = new Int32Array(length);
    let at = 0;
    for (const word of words) {
      const start = this.#idStarts[word]!;
      const end = start + this.#idCounts[word]!;
      for (let i = start; i < end; i++) ids[at++] = this.#ids[i]!;
    }
    return { ids, unknownCharacters };
  }

  #endOf(word: number): number {
    return word < 0 ? 0 : this.#ends[word]!;
  }

  #is(word: number, units: Uint16Array, start: number, end: number): boolean {
    let at = this.#endOf(word - 1);
    if (this.#ends[word]! - at !== end - start) return false;
    for (let i = start; i < end; i++) if (this.#units[at++] !== units[i]) return false;
    return true;
  }

  #add(units: Uint16Array, start: number, end: number, hash: number, slot: number): number {
    const word = this.size++;
    const from = this.#endOf(word - 1);
    const to = from + end - start;
    this.#units = withRoom(this.#units, to);
    this.#units.set(units.subarray(start, end), from);
    this.#ends = withRoom(this.#ends, this.size);
    this.#hashes = withRoom(this.#hashes, this.size);
    this.#idStarts = withRoom(this.#idStarts, this.size);
    this.#idCounts = withRoom(this.#idCounts, this.size);
    this.#unknown = withRoom(this.#unknown, this.size);
    this.#ends[word] = to;
    this.#hashes[word] = hash;
    this.#idStarts[word] = pending;
    this.#slots[slot] = word + 1;
    if (2 * this.size > this.#slots.length) this.#spread();
    return word;
  }

  /** Makes twice as many slots. */
  #spread(): void {
    const slots = new Int32Array(2 * this.#slots.length);
    const mask = slots.length - 1;
    for (let word = 0; word < this.size; word++) {
      let slot = mix(this.#hashes[word]!) & mask;
      while (slots[slot] !== 0) slot = (slot + 1) & mask;
      slots[slot] = word + 1;
    }
    this.#slots = slots;
  }
}

/** Mixes the upper bits of a hash into its lower ones. */
function mix(hash: number): number {
  const product = Math.imul(hash, 0x9e3779b1);
  return product ^ (product >>> 15);
}

function withRoom<Values extends Int32Array | Uint16Array>(values: Values, length: number): Values {
  if (length <= values.length) return values;
  const larger = new (values.constructor as new (length: number) => Values)(Math.max(length, 2 * values.length));
  larger.set(values);
  return larger;
}
