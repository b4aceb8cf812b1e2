import { z } from 'zod';
import type { Affects } from '../keys/index.ts';
import { configSchema, type SectionName } from './schema.ts';

/** One key of the config file, with what the documentation and the error messages need. */
export interface Setting {
  section: SectionName;
  key: string;
  /** `section.key` */
  path: string;
  /** Its type in words, such as `integer ≥ 1`; choices are in backticks. */
  typeName: string;
  /** The choices of an enum. */
  choices?: string[];
  default?: unknown;
  /** How the value is derived if there is no fixed default. */
  derived?: string;
  affects: Affects;
  description: string;
  advice?: string;
}

/** One section of the config file. */
export interface Section {
  name: SectionName;
  description: string;
  settings: Setting[];
}

// The part of JSON Schema that the schema of the config file uses.
interface JsonSchema {
  type?: string;
  description?: string;
  default?: unknown;
  enum?: string[];
  items?: JsonSchema;
  minimum?: number;
  exclusiveMinimum?: number;
  maximum?: number;
  exclusiveMaximum?: number;
  properties?: Record<string, JsonSchema>;
  affects?: Affects;
  typeName?: string;
  derived?: string;
  advice?: string;
}

/** The bounds of a number: `in (0, 1]`, `≥ 1`, `> 0`, or nothing. */
function range({ minimum, exclusiveMinimum, maximum, exclusiveMaximum }: JsonSchema): string {
  const low = minimum ?? exclusiveMinimum;
  const high = maximum ?? exclusiveMaximum;
  const hasLow = low !== undefined && low > -Number.MAX_SAFE_INTEGER;
  const hasHigh = high !== undefined && high < Number.MAX_SAFE_INTEGER;
  if (hasLow && hasHigh) {
    return `in ${minimum === undefined ? '(' : '['}${low}, ${high}${maximum === undefined ? ')' : ']'}`;
  }
  if (hasLow) return `${minimum === undefined ? '>' : '≥'} ${low}`;
  return '';
}

function typeName(schema: JsonSchema): string {
  if (schema.typeName !== undefined) return schema.typeName;
  if (schema.enum !== undefined) return schema.enum.map((choice) => `\`${choice}\``).join(', ');
  switch (schema.type) {
    case 'array':
      return `list of ${typeName(schema.items ?? {})}s`;
    case 'boolean':
      return '`true` or `false`';
    default:
      return `${schema.type} ${range(schema)}`.trim();
  }
}

function readSections(): Section[] {
  const root = z.toJSONSchema(configSchema, { io: 'input' }) as JsonSchema;
  return Object.entries(root.properties ?? {}).map(([name, section]) => ({
    name: name as SectionName,
    description: section.description ?? '',
    settings: Object.entries(section.properties ?? {}).map(([key, schema]) => ({
      section: name as SectionName,
      key,
      path: `${name}.${key}`,
      typeName: typeName(schema),
      ...(schema.enum !== undefined && { choices: schema.enum }),
      ...(schema.default !== undefined && { default: schema.default }),
      ...(schema.derived !== undefined && { derived: schema.derived }),
      ...(schema.advice !== undefined && { advice: schema.advice }),
      affects: schema.affects!,
      description: schema.description ?? '',
    })),
  }));
}

/** All sections of the config file with their keys, in the schema's order. */
export const sections: readonly Section[] = readSections();

/** Every key of the config file. */
export const settings: readonly Setting[] = sections.flatMap((section) => section.settings);

/** The paths of the keys that affect any of `what`. */
export function keysThatAffect(...what: readonly Affects[]): ReadonlySet<string> {
  return new Set(settings.filter(({ affects }) => what.includes(affects)).map(({ path }) => path));
}
