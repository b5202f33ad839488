/** Reads a source file with the TypeScript parser: its functions, imports, exports, literals and comments. */
import * as Ast from "typescript/unstable/ast";
import { API } from "typescript/unstable/sync";

interface FunctionShape {
  readonly name: string;
  /** The first line of the declaration, 1-based; `lines` counts from there to the closing brace. */
  readonly line: number;
  readonly lines: number;
  readonly parameters: number;
  /** The callback of a `describe`: a heading over tests. */
  readonly isDescribe: boolean;
}

export interface ImportShape {
  readonly specifier: string;
  readonly line: number;
  /** The name of a star import. */
  readonly alias: string | undefined;
  /** The exported names that are used through this import; "all" if that cannot be determined. */
  readonly names: ReadonlySet<string> | "all";
}

interface Located {
  readonly text: string;
  readonly line: number;
}

interface Export extends Located {
  readonly isType: boolean;
}

interface Literal extends Located {
  /** It follows the tag `sql` or is inside `sql.raw(…)`. */
  readonly isSql: boolean;
}

export interface Shape {
  readonly functions: readonly FunctionShape[];
  readonly imports: readonly ImportShape[];
  readonly exports: readonly Export[];
  readonly literals: readonly Literal[];
  readonly comments: readonly Located[];
  /** The lines of import declarations, 1-based. */
  readonly importLines: ReadonlySet<number>;
}

/**
 * Parses the files with these texts, by path. The compiler only parses them: it resolves no imports and reads no
 * libraries.
 * @param texts - by the path below `root`, with forward slashes.
 */
export function parse(root: string, texts: ReadonlyMap<string, string>): Map<string, Shape> {
  const base = root.replaceAll("\\", "/");
  const config = `${base}/tsconfig.house.json`;
  const project = JSON.stringify({
    compilerOptions: {
      noResolve: true,
      noLib: true,
      types: [],
      allowJs: true,
      noEmit: true,
      module: "nodenext",
    },
    files: [...texts.keys()].map((path) => `${base}/${path}`),
  });
  const readFile = (name: string) =>
    name === config ? project : name.startsWith(base) ? texts.get(name.slice(base.length + 1)) : undefined;
  const api = new API({ cwd: root, fs: { readFile } });
  try {
    const program = api.updateSnapshot({ openProjects: [config] }).getProject(config)?.program;
    return new Map(
      [...texts.keys()].map((path) => {
        const source = program?.getSourceFile(`${base}/${path}`);
        if (source === undefined) throw new Error(`the compiler did not parse ${path}`);
        return [path, shape(source)];
      }),
    );
  } finally {
    api.close();
  }
}

/** The findings in one file, collected while its nodes are visited. */
interface Found {
  readonly source: Ast.SourceFile;
  readonly functions: FunctionShape[];
  readonly imports: {
    specifier: string;
    line: number;
    alias: string | undefined;
    names: Set<string> | "all";
  }[];
  readonly exports: Export[];
  readonly literals: Literal[];
  readonly quoted: Ast.TextRange[];
  readonly importLines: Set<number>;
  /** Every identifier that may refer to a star import. */
  readonly uses: Ast.Identifier[];
}

function shape(source: Ast.SourceFile): Shape {
  const found: Found = {
    source,
    functions: [],
    imports: [],
    exports: [],
    literals: [],
    quoted: [],
    importLines: new Set(),
    uses: [],
  };
  const visit = (node: Ast.Node): void => {
    takeFunction(found, node);
    takeImport(found, node);
    takeLiteral(found, node);
    if (Ast.isIdentifier(node)) found.uses.push(node);
    node.forEachChild(visit);
  };
  source.forEachChild(visit);
  for (const statement of source.statements) takeExports(found, statement);
  takeMembers(found);
  return { ...found, comments: comments(found) };
}

const lineOf = ({ source }: Found, position: number) =>
  source.getLineAndCharacterOfPosition(position).line + 1;

// --- functions -------------------------------------------------------------------------------------------------

function takeFunction(found: Found, node: Ast.Node): void {
  const isFunction =
    Ast.isFunctionDeclaration(node) ||
    Ast.isFunctionExpression(node) ||
    Ast.isArrowFunction(node) ||
    Ast.isMethodDeclaration(node) ||
    Ast.isConstructorDeclaration(node) ||
    Ast.isGetAccessorDeclaration(node) ||
    Ast.isSetAccessorDeclaration(node);
  if (!isFunction || node.body === undefined) return;
  const holder = declarationOf(node);
  const line = lineOf(found, holder.getStart(found.source));
  const caller = calleeOf(node);
  found.functions.push({
    name: nameOf(node, holder) ?? (caller === undefined ? "(unnamed)" : `callback of ${caller}`),
    line,
    lines: lineOf(found, node.end) - line + 1,
    parameters: node.parameters.length,
    isDescribe: /^describe\b/.test(caller ?? ""),
  });
}

/** `const name = () => …` begins where the statement does, `name: () => …` where the property does. */
function declarationOf(node: Ast.Node): Ast.Node {
  const { parent } = node;
  if (Ast.isPropertyAssignment(parent) || Ast.isPropertyDeclaration(parent)) return parent;
  if (!Ast.isVariableDeclaration(parent)) return node;
  const statement = parent.parent.parent;
  return Ast.isVariableStatement(statement) ? statement : parent;
}

function nameOf(node: Ast.Node, holder: Ast.Node): string | undefined {
  if (Ast.isConstructorDeclaration(node)) return "constructor";
  const named = [node, node.parent, holder].find(
    (one) => "name" in one && one.name !== undefined && (one === node || holder !== node),
  ) as { name: Ast.Node } | undefined;
  return named?.name.getText();
}

/** The text of the called function if the node is an argument: `describe`, `test.each(…)`. */
function calleeOf({ parent }: Ast.Node): string | undefined {
  if (!Ast.isCallExpression(parent)) return undefined;
  return parent.expression.getText().split("\n")[0]?.slice(0, 40);
}

// --- imports and exports ---------------------------------------------------------------------------------------

function takeImport(found: Found, node: Ast.Node): void {
  if (Ast.isImportDeclaration(node)) takeDeclaration(found, node);
  else if (Ast.isExportDeclaration(node)) takeReexport(found, node);
  else if (Ast.isImportTypeNode(node)) {
    const text = node.argument.getText();
    const names =
      node.qualifier === undefined ? "all" : new Set([node.qualifier.getText().split(".")[0] ?? ""]);
    add(found, node, { specifier: text.slice(1, -1), alias: undefined, names });
  } else if (Ast.isCallExpression(node) && node.expression.kind === Ast.SyntaxKind.ImportKeyword) {
    const [argument] = node.arguments;
    if (argument !== undefined && Ast.isStringLiteral(argument)) takeDynamic(found, node, argument.text);
  }
}

function add(found: Found, node: Ast.Node, imported: Omit<Found["imports"][number], "line">): void {
  found.imports.push({ ...imported, line: lineOf(found, node.getStart(found.source)) });
}

function takeDeclaration(found: Found, node: Ast.ImportDeclaration): void {
  const from = lineOf(found, node.getStart(found.source));
  for (let line = from; line <= lineOf(found, node.end); line += 1) found.importLines.add(line);
  if (!Ast.isStringLiteral(node.moduleSpecifier)) return;
  const specifier = node.moduleSpecifier.text;
  const bindings = node.importClause?.namedBindings;
  const names = new Set<string>();
  if (node.importClause?.name !== undefined) names.add("default");
  if (bindings !== undefined && Ast.isNamespaceImport(bindings)) {
    add(found, node, { specifier, alias: bindings.name.text, names });
    return;
  }
  for (const element of bindings?.elements ?? []) names.add((element.propertyName ?? element.name).text);
  add(found, node, { specifier, alias: undefined, names });
}

function takeReexport(found: Found, node: Ast.ExportDeclaration): void {
  if (node.moduleSpecifier === undefined || !Ast.isStringLiteral(node.moduleSpecifier)) return;
  const clause = node.exportClause;
  const names =
    clause !== undefined && Ast.isNamedExports(clause)
      ? new Set(clause.elements.map((element) => (element.propertyName ?? element.name).text))
      : ("all" as const);
  add(found, node, { specifier: node.moduleSpecifier.text, alias: undefined, names });
}

/**
 * `const X = await import("…")` counts as a star import, `const { a } = await import("…")` as an import of these names.
 */
function takeDynamic(found: Found, node: Ast.CallExpression, specifier: string): void {
  const holder = Ast.isAwaitExpression(node.parent) ? node.parent.parent : undefined;
  const name = holder !== undefined && Ast.isVariableDeclaration(holder) ? holder.name : undefined;
  if (name !== undefined && Ast.isObjectBindingPattern(name)) {
    const names = name.elements.map((element) => (element.propertyName ?? element.name)?.getText() ?? "");
    add(found, node, { specifier, alias: undefined, names: new Set(names) });
  } else if (name !== undefined && Ast.isIdentifier(name)) {
    add(found, node, { specifier, alias: name.text, names: new Set() });
  } else add(found, node, { specifier, alias: undefined, names: "all" });
}

function takeExports(found: Found, statement: Ast.Statement): void {
  const isType = Ast.isInterfaceDeclaration(statement) || Ast.isTypeAliasDeclaration(statement);
  const put = (node: Ast.Node, text: string) =>
    found.exports.push({ text, line: lineOf(found, node.getStart(found.source)), isType });
  if (Ast.isExportDeclaration(statement)) {
    const clause = statement.exportClause;
    if (clause !== undefined && Ast.isNamedExports(clause))
      for (const element of clause.elements) put(element, element.name.text);
    return;
  }
  if (!("modifiers" in statement)) return;
  const modifiers = (statement.modifiers ?? []) as readonly Ast.Node[];
  const isOf = (kind: Ast.SyntaxKind) => modifiers.some((modifier) => modifier.kind === kind);
  if (!isOf(Ast.SyntaxKind.ExportKeyword) || isOf(Ast.SyntaxKind.DefaultKeyword)) return;
  if (Ast.isVariableStatement(statement)) {
    for (const { name } of statement.declarationList.declarations) {
      if (Ast.isIdentifier(name)) put(statement, name.text);
      else for (const element of name.elements) put(statement, element.getText().split(/[ :=]/)[0] ?? "");
    }
  } else if ("name" in statement && statement.name !== undefined)
    put(statement, (statement.name as Ast.Identifier).text);
}

/** The members of each star import that are used; if it is passed on as a whole, all may be used. */
function takeMembers(found: Found): void {
  const stars = new Map(
    found.imports.filter(({ alias }) => alias !== undefined).map((star) => [star.alias, star]),
  );
  for (const use of found.uses) {
    const star = stars.get(use.text);
    const { parent } = use;
    if (star === undefined || Ast.isNamespaceImport(parent)) continue;
    if (Ast.isPropertyAccessExpression(parent) && parent.expression === use) addTo(star, parent.name.text);
    else if (Ast.isQualifiedName(parent) && parent.left === use) addTo(star, parent.right.text);
    // A property or a declaration that only has the same name.
    else if ("name" in parent && parent.name === use && !Ast.isShorthandPropertyAssignment(parent)) continue;
    else if (Ast.isQualifiedName(parent)) continue;
    else star.names = "all";
  }
}

function addTo(star: { names: Set<string> | "all" }, name: string): void {
  if (star.names !== "all") star.names.add(name);
}

// --- literals and comments -------------------------------------------------------------------------------------

function takeLiteral(found: Found, node: Ast.Node): void {
  const isPiece = Ast.isTemplateHead(node) || Ast.isTemplateMiddle(node) || Ast.isTemplateTail(node);
  const isText = Ast.isStringLiteral(node) || Ast.isNoSubstitutionTemplateLiteral(node);
  if (isText || isPiece || Ast.isRegularExpressionLiteral(node))
    found.quoted.push({ pos: node.getStart(found.source), end: node.end });
  if (isText || Ast.isTemplateExpression(node))
    found.literals.push({
      text: isText ? node.text : templateText(node),
      line: lineOf(found, node.getStart(found.source)),
      isSql: isSql(node.parent),
    });
}

/** Expressions inside a template are left out: a table that is named there is imported. */
const templateText = (node: Ast.TemplateExpression) =>
  [node.head.text, ...node.templateSpans.map(({ literal }) => literal.text)].join("{}");

function isSql(parent: Ast.Node): boolean {
  if (Ast.isTaggedTemplateExpression(parent)) return /^sql\b/.test(parent.tag.getText());
  return Ast.isCallExpression(parent) && parent.expression.getText() === "sql.raw";
}

/** Outside of strings, templates and regular expressions two slashes, or a slash and a star, begin a comment. */
function comments({ source, quoted }: Found): Located[] {
  const { text } = source;
  const starts = new Map(quoted.map(({ pos, end }) => [pos, end]));
  const found: Located[] = [];
  for (let i = 0; i < text.length; i += 1) {
    const end = starts.get(i);
    if (end !== undefined && end > i) i = end - 1;
    else if (text[i] === "/" && (text[i + 1] === "/" || text[i + 1] === "*")) {
      const close = text[i + 1] === "/" ? text.indexOf("\n", i) : text.indexOf("*/", i) + 2;
      const stop = close < i + 2 ? text.length : close;
      found.push({
        text: text.slice(i, stop),
        line: source.getLineAndCharacterOfPosition(i).line + 1,
      });
      i = stop - 1;
    }
  }
  return found;
}
