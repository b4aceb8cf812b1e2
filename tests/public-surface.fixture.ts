// The public surface as text: names and signatures as TypeDoc prints them.
import type { DeclarationReflection, Reflection, SignatureReflection, TypeParameterReflection } from 'typedoc';
import { membersOf, type PublicApi, signaturesOf, typedoc } from './public-api.fixture.ts';

const { ReflectionKind, ReflectionType } = typedoc;

/** The public names and their members, a line each, sorted by name. */
export function surfaceOf({ project }: PublicApi): string[] {
  const lines = (project.children ?? []).flatMap((module) =>
    membersOf(module).flatMap((child) => linesOf(child, '').map((line) => `${module.name}: ${line}`)),
  );
  const sorted = lines.map((line) => ({ line, name: nameIn(line) }));
  return sorted.sort((a, b) => Number(a.name > b.name) - Number(a.name < b.name)).map(({ line }) => line);
}

/** What a line of the surface is sorted by: its module and name. */
function nameIn(line: string): string {
  const [, module, name] = /^(\S+): (?:(?:class|const|interface|new|readonly|static|type) )*([^ <(:?]+)/.exec(line)!;
  return `${module}: ${name}`;
}

function linesOf(reflection: DeclarationReflection, owner: string): string[] {
  if (reflection.isReference()) return [referenceText(reflection.name, reflection.getTargetReflectionDeep())];
  const name = owner + reflection.name;
  const { kind, type } = reflection;
  const inner = (holder: DeclarationReflection) => membersOf(holder).flatMap((child) => linesOf(child, `${name}.`));
  if (kind === ReflectionKind.Constructor)
    return signaturesOf(reflection).map((s) => `new ${signatureText(s, owner.slice(0, -1))}`);
  if (kind === ReflectionKind.Class || kind === ReflectionKind.Interface) {
    const word = kind === ReflectionKind.Class ? 'class' : 'interface';
    const call = signaturesOf(reflection).map((s) => signatureText(s, name));
    return [`${word} ${name}${typeParameters(reflection)}${parents(reflection)}`, ...call, ...inner(reflection)];
  }
  const isStatic = reflection.flags.isStatic ? 'static ' : '';
  const optional = reflection.flags.isOptional ? '?' : '';
  if (signaturesOf(reflection).length > 0)
    return signaturesOf(reflection).map((s) => isStatic + signatureText(s, name + optional));
  const { getSignature, setSignature } = reflection;
  const isReadonly = reflection.flags.isReadonly || (getSignature && !setSignature) ? 'readonly ' : '';
  const word =
    kind === ReflectionKind.TypeAlias ? 'type ' : kind === ReflectionKind.Variable ? 'const ' : isStatic + isReadonly;
  const head = `${word}${name}${typeParameters(reflection)}${optional}`;
  if (type?.type === 'reflection' && isPlainObject(type.declaration)) return [head, ...inner(type.declaration)];
  const text = (getSignature?.type ?? setSignature?.parameters?.[0]?.type ?? type)?.toString() ?? 'unknown';
  return [`${head}${kind === ReflectionKind.TypeAlias ? ' = ' : ': '}${text}`];
}

function referenceText(name: string, target: Reflection | undefined): string {
  const module = target?.kindOf(ReflectionKind.Module) ? target : target?.parent;
  const renamed = target === module || target?.name === name ? '' : `${target?.name} of `;
  return `${name} → ${renamed}${module?.name}`;
}

function isPlainObject({ children, signatures, indexSignatures }: DeclarationReflection): boolean {
  return children !== undefined && !signatures && !indexSignatures;
}

function parents({ extendedTypes, implementedTypes }: DeclarationReflection): string {
  const list = (word: string, types: readonly object[] = []) =>
    types.length > 0 ? ` ${word} ${types.join(', ')}` : '';
  return list('extends', extendedTypes) + list('implements', implementedTypes);
}

function typeParameters({ typeParameters: parameters }: { typeParameters?: TypeParameterReflection[] }): string {
  const texts = (parameters ?? []).map((parameter) => {
    const limit = parameter.type ? ` extends ${parameter.type}` : '';
    return `${parameter.name}${limit}${parameter.default ? ` = ${parameter.default}` : ''}`;
  });
  return texts.length > 0 ? `<${texts.join(', ')}>` : '';
}

function signatureText(signature: SignatureReflection, name: string, arrow = ':'): string {
  const parameters = (signature.parameters ?? []).map((parameter) => {
    const { isRest, isOptional } = parameter.flags;
    const value = parameter.defaultValue === undefined ? '' : ` = ${parameter.defaultValue}`;
    return `${isRest ? '...' : ''}${parameter.name}${isOptional && !value ? '?' : ''}: ${parameter.type}${value}`;
  });
  return `${name}${typeParameters(signature)}(${parameters.join(', ')})${arrow} ${signature.type}`;
}

// TypeDoc's own text of an object's type is the word Object.
Object.defineProperty(ReflectionType.prototype, 'getTypeString', {
  value(this: InstanceType<typeof ReflectionType>): string {
    const { children = [], signatures = [], indexSignatures = [] } = this.declaration;
    if (children.length + indexSignatures.length === 0 && signatures.length === 1)
      return signatureText(signatures[0]!, '', ' =>');
    const parts = [
      ...signatures.map((signature) => signatureText(signature, '')),
      ...indexSignatures.map(
        ({ parameters, type }) => `[${parameters?.map((key) => `${key.name}: ${key.type}`)}]: ${type}`,
      ),
      ...children.flatMap((child) => {
        const name = `${child.name}${child.flags.isOptional ? '?' : ''}`;
        if (child.signatures) return child.signatures.map((signature) => signatureText(signature, name));
        return `${child.flags.isReadonly ? 'readonly ' : ''}${name}: ${child.type ?? child.getSignature?.type}`;
      }),
    ];
    return parts.length > 0 ? `{ ${parts.join('; ')} }` : '{}';
  },
});
