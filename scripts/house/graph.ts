/** Circles of a directed graph, and the edges that close them. */

export type Graph = ReadonlyMap<string, ReadonlyMap<string, number>>;

/** Counts the edges between nodes, without edges from a node to itself. */
export function graph(arrows: Iterable<readonly [from: string, to: string]>): Graph {
  const found = new Map<string, Map<string, number>>();
  for (const [from, to] of arrows) {
    const out = found.get(from) ?? new Map<string, number>();
    found.set(from, out);
    if (!found.has(to)) found.set(to, new Map());
    if (from !== to) out.set(to, (out.get(to) ?? 0) + 1);
  }
  return found;
}

/** The strongly connected components with more than one node (Tarjan, 1972), each sorted. */
export function circles(of: Graph): string[][] {
  const index = new Map<string, number>();
  const low = new Map<string, number>();
  const stack: string[] = [];
  const onStack = new Set<string>();
  const found: string[][] = [];
  const visit = (node: string): number => {
    const own = index.size;
    index.set(node, own);
    let lowest = own;
    stack.push(node);
    onStack.add(node);
    for (const next of of.get(node)?.keys() ?? []) {
      if (!index.has(next)) lowest = Math.min(lowest, visit(next));
      else if (onStack.has(next)) lowest = Math.min(lowest, low.get(next) ?? index.get(next) ?? own);
    }
    low.set(node, lowest);
    if (lowest === own) {
      const members = stack.splice(stack.indexOf(node));
      for (const member of members) onStack.delete(member);
      if (members.length > 1) found.push(members.toSorted());
    }
    return lowest;
  };
  for (const node of of.keys()) if (!index.has(node)) visit(node);
  return found;
}

/**
 * The edges that lead upward in the best order found. Inside a circle the nodes are ordered so that few imports lead
 * back (Eades, Lin and Smyth, 1993). Without a circle there are no such edges.
 */
export function upward(of: Graph): [from: string, to: string][] {
  return circles(of).flatMap((members) => {
    const floor = new Map(layout(of, members).map((node, i) => [node, i]));
    return members.flatMap((from) =>
      [...(of.get(from)?.keys() ?? [])]
        .filter((to) => floor.has(to) && (floor.get(from) ?? 0) > (floor.get(to) ?? 0))
        .map((to): [string, string] => [from, to]),
    );
  });
}

/** An order in which most imports lead from an earlier node to a later one. */
function layout(of: Graph, members: readonly string[]): string[] {
  const left = new Set(members);
  const first: string[] = [];
  const last: string[] = [];
  const weight = (from: string, to: string) => (left.has(to) ? (of.get(from)?.get(to) ?? 0) : 0);
  const out = (node: string) => [...left].reduce((sum, other) => sum + weight(node, other), 0);
  const into = (node: string) => [...left].reduce((sum, other) => sum + weight(other, node), 0);
  while (left.size > 0) {
    const nodes = [...left].map((node) => ({ node, out: out(node), into: into(node) }));
    const sink = nodes.find((one) => one.out === 0);
    const source = nodes.find((one) => one.into === 0);
    const best = nodes.reduce((most, one) => (one.out - one.into > most.out - most.into ? one : most));
    const { node } = sink ?? source ?? best;
    left.delete(node);
    if (sink !== undefined) last.unshift(node);
    else first.push(node);
  }
  return [...first, ...last];
}
