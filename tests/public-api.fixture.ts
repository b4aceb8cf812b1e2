// The public surface of taper as TypeDoc reads it from the sources: its reference in HTML, and what the comments lack.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { stripVTControlCharacters } from 'node:util';
import type {
  DeclarationReflection,
  ParameterReflection,
  ProjectReflection,
  Reflection,
  SignatureReflection,
  TypeDocOptions,
} from 'typedoc';
import type ts from 'typescript';

export const root = fileURLToPath(new URL('../..', import.meta.url));

// TypeDoc takes an older TypeScript than the one that compiles taper, so both stand in tests/node_modules, away from dist/.
const typeDocFile = createRequire(join(root, 'tests/package.json')).resolve('typedoc');
export const typedoc = (await import(pathToFileURL(typeDocFile).href)) as typeof import('typedoc');
const { Application, Converter, LogLevel, ReflectionKind, TypeScript } = typedoc;

/** What public signatures name and no index.ts exports: the reference has only its name. A new one is exported, or added here. */
const unexported = `
  Affects BlockModel Blocks Columns CountedEncodings Derived Draws Environment FieldChart Given
  GroupLibrary Layout LineOf Metric Over Owned Owners Parsed Point Range SampleKey SectionName ShownEvaluation Stages
  TokenizerOptions VocabularyOptions WordPieceOptions indexSchema profiles storedFileSchema
`;

/** What TypeDoc made of the sources. */
export interface PublicApi {
  project: ProjectReflection;
  /** What TypeDoc warned of, such as a link that leads nowhere. */
  warnings: string[];
  /** The class of each `throw` in a function's own body, `undefined` where it is not a `new` one. */
  thrown: ReadonlyMap<Reflection, readonly (string | undefined)[]>;
  /** Writes the reference, a folder of HTML. */
  write(folder: string): Promise<void>;
}

/** Reads the exports of package.json, each a module under the name that a program imports it by. */
export function readPublicApi(): Promise<PublicApi> {
  const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { exports: object };
  const paths = Object.keys(exports).filter((path) => path !== './package.json');
  return readApi({
    // The first module that has a name shows it; the others refer to it.
    entryPoints: [...paths.filter((path) => path !== '.'), '.'].map((path) => join(root, 'src', path, 'index.ts')),
    tsconfig: join(root, 'tsconfig.run.json'),
    readme: join(root, 'README.md'),
    intentionallyNotExported: unexported.trim().split(/\s+/),
  });
}

/** Reads any modules. */
export async function readApi(options: TypeDocOptions): Promise<PublicApi> {
  const app = await Application.bootstrap({
    name: 'taper',
    basePath: root,
    alwaysCreateEntryPointModule: true,
    skipErrorChecking: true,
    excludePrivate: true,
    excludeExternals: true,
    githubPages: false,
    gitRevision: 'HEAD', // for which TypeDoc asks no remote: source files are named, not linked to a host
    navigation: { excludeReferences: true },
    logLevel: LogLevel.Warn,
    ...options,
  });
  const warnings: string[] = [];
  const { logger } = app;
  logger.log = (message, level) => {
    if (level >= LogLevel.Warn) warnings.push(stripVTControlCharacters(message));
  };
  const thrown = new Map<Reflection, (string | undefined)[]>();
  app.converter.on(Converter.EVENT_CREATE_SIGNATURE, (context, signature, declaration) => {
    const declarations = [declaration, ...(context.getSymbolFromReflection(signature.parent)?.declarations ?? [])];
    const bodies = declarations.map((node) => node && (node as Partial<ts.FunctionLikeDeclaration>).body);
    thrown.set(
      signature,
      [...new Set(bodies)].flatMap((body) => (body ? throwsOf(body) : [])),
    );
  });
  app.converter.on(Converter.EVENT_RESOLVE_END, ({ project }) => {
    for (const parameter of project.getReflectionsByKind(ReflectionKind.Parameter)) nameDestructured(parameter);
  });
  const project = await app.convert();
  if (!project) throw new Error(`TypeDoc did not understand the sources: ${warnings.join('\n')}`);
  app.validate(project);
  return { project, warnings, thrown, write: (folder) => app.generateDocs(project, folder) };
}

/** The classes that a function's own body throws; what a function inside it throws is that one's, what it passes on a callee's. */
function throwsOf(body: ts.Node): (string | undefined)[] {
  const found: (string | undefined)[] = [];
  const visit = (node: ts.Node, caught: readonly string[]): void => {
    if (TypeScript.isFunctionLike(node) || TypeScript.isClassLike(node)) return;
    if (TypeScript.isThrowStatement(node)) {
      const { expression } = node;
      const isPassedOn = TypeScript.isIdentifier(expression) && caught.includes(expression.text);
      if (!isPassedOn) found.push(TypeScript.isNewExpression(expression) ? expression.expression.getText() : undefined);
    }
    const variable = TypeScript.isCatchClause(node) ? node.variableDeclaration?.name.getText() : undefined;
    TypeScript.forEachChild(node, (child) => visit(child, variable === undefined ? caught : [...caught, variable]));
  };
  visit(body, []);
  return found;
}

/** A parameter that is taken apart in place has no name: it gets that of its type, or `options`. */
function nameDestructured(parameter: Reflection): void {
  if (parameter.name !== '__namedParameters') return;
  const { type } = parameter as ParameterReflection;
  const name = type?.type === 'reference' ? type.name : '';
  parameter.name =
    /^[A-Z]/.test(name) && !/Options$|^(Pick|Omit|Partial)$/.test(name)
      ? name[0]!.toLowerCase() + name.slice(1)
      : 'options';
}

/** The public names without a doc comment. Properties need none, nor what a class has by a symbol: their names say it. */
export function undocumented(api: PublicApi): string[] {
  const needsComment =
    ReflectionKind.Module |
    ReflectionKind.Class |
    ReflectionKind.Interface |
    ReflectionKind.TypeAlias |
    ReflectionKind.Variable |
    ReflectionKind.FunctionOrMethod |
    ReflectionKind.Accessor;
  const has = (reflection: DeclarationReflection) =>
    [reflection, ...(reflection.signatures ?? []), reflection.getSignature].some((part) => part?.hasComment());
  return namesOf(api)
    .filter((reflection) => reflection.kindOf(needsComment) && !/^\[/.test(reflection.name))
    .filter((reflection) => !reflection.overwrites && !has(reflection))
    .map((reflection) => reflection.getFullName());
}

/** What is public: modules, what they export, and the members of classes and interfaces. */
function namesOf({ project }: PublicApi): DeclarationReflection[] {
  const modules = project.children ?? [];
  const exported = modules.flatMap((module) => membersOf(module).filter((child) => !child.isReference()));
  const holders = exported.filter((reflection) => reflection.kindOf(ReflectionKind.ClassOrInterface));
  return [...modules, ...exported, ...holders.flatMap(membersOf)];
}

/** What is wrong with `@throws`: a function that throws and does not say so, or one that names no class. */
export function throwsMistakes(api: PublicApi): string[] {
  const names = namesOf(api);
  const isClass = (name: string) =>
    names.some((r) => r.name === name && r.kindOf(ReflectionKind.Class)) || name in globalThis;
  return names
    .flatMap((reflection) => [...signaturesOf(reflection), reflection.getSignature, reflection.setSignature])
    .flatMap((signature) => {
      if (!signature) return [];
      const tags = signature.comment?.getTags('@throws') ?? [];
      const said = tags.map(({ content }) => /^\w+/.exec(content.map(({ text }) => text).join(''))?.[0] ?? '');
      const unsaid = (api.thrown.get(signature) ?? []).filter((name) =>
        name && isClass(name) ? !said.includes(name) : said.length === 0,
      );
      const name = signature.parent.getFullName();
      return [
        ...new Set(unsaid.map((thrown) => `${name}: its body throws ${thrown ?? 'an error'}, without a line @throws`)),
        ...said.filter((word) => !isClass(word)).map((word) => `${name}: @throws ${word} names no error class`),
      ];
    });
}

/** What a module, a class or an interface has, but what it inherits. */
export function membersOf(reflection: DeclarationReflection): DeclarationReflection[] {
  const own = (child: DeclarationReflection) => !child.inheritedFrom && !child.signatures?.some((s) => s.inheritedFrom);
  return (reflection.children ?? []).filter(own);
}

export function signaturesOf(reflection: DeclarationReflection): SignatureReflection[] {
  return reflection.signatures ?? [];
}
