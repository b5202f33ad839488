/*
 * The token costs of prompts, learned from the server's own counts (`usage.prompt_tokens`): the length of each text,
 * and the ratio of the server's picture tokens to our estimate. Kept in memory for each server and model.
 */

/** One call: a text with pictures, and the server's count of both. */
interface Count {
  /** Equal for calls with the same text and the same number of pictures. */
  key: string;
  /** Our estimate of the pictures' tokens, by the profile's processor. */
  ours: number;
  /** The server's tokens of text and pictures. */
  prompt: number;
  /** Our estimate of the text: an upper bound. */
  text: number;
}

/** What was learned about a text on a server. */
interface Known {
  /** Undefined for a text that was not counted yet. */
  textTokens: number | undefined;
  /** How many picture tokens the server counts for one that we estimate. */
  ratio: number;
}

interface Server {
  baseUrl: string;
  model: string;
}

const mostServers = 16;
/** Older ones are forgotten, so that another model behind the same name is learned anew. */
const mostCounts = 24;
/** Counts whose pictures differ by fewer tokens give no usable slope. */
const leastSpread = 64;
/** After three sizes a line is assumed; a further count that is off by more than `tolerance` is not on it. */
const sizesOfLine = 3;
const tolerance = 0.1;
/** Our estimate of a text is 5 to 10 % too high for the models that it was measured with. */
const overestimate = 1.15;

const servers = new Map<string, Count[]>();
/** Servers whose counts follow no line; each is reported once. */
const told = new Set<string>();
const nameOf = ({ baseUrl, model }: Server) => `${baseUrl} ${model}`;

/**
 * Records a count. A count of less than half of the text is ignored, because it cannot be the prompt's (some gateways
 * report fewer tokens). @returns "unclear", once for each server, if the counts fit no line; then the upper bound is
 * used.
 */
export function note(server: Server, count: Count): "unclear" | undefined {
  if (count.prompt < count.text / 2) return undefined;
  const name = nameOf(server);
  const before = servers.get(name) ?? [];
  const isOther = ({ key, ours }: Count) => key !== count.key || ours !== count.ours;
  const sizes = new Set(before.map(({ ours }) => ours)).size;
  const expected = sizes < sizesOfLine ? undefined : predict(before, count);
  servers.delete(name);
  servers.set(name, [...before.filter(isOther), count].slice(-mostCounts));
  for (const oldest of [...servers.keys()].slice(0, Math.max(0, servers.size - mostServers)))
    servers.delete(oldest);
  if (expected === undefined || Math.abs(expected - count.prompt) <= tolerance * count.prompt)
    return undefined;
  if (told.has(name)) return undefined;
  told.add(name);
  return "unclear";
}

/**
 * What was learned about a text on a server; undefined before the server's first count.
 * @param key - as in the counts of this text.
 * @param leastRatio - the least that a picture is believed to take for one of our tokens.
 */
export function known(server: Server, key: string, leastRatio: number): Known | undefined {
  const counts = servers.get(nameOf(server)) ?? [];
  if (counts.length === 0) return undefined;
  const ratio = Math.max(leastRatio, ratioOf(counts));
  return { ratio, textTokens: textOf(counts, key, ratio) };
}

/**
 * True if the server counts pictures as we do: then the rest of each count is about the estimated length of the text.
 */
function agrees(counts: Count[]): boolean {
  return counts.every(({ prompt, ours, text }) => {
    const rest = prompt - ours;
    return rest >= text / 2 - tolerance * ours && rest <= text * overestimate + tolerance * ours;
  });
}

/**
 * The slope of the line through the counts of equal texts with pictures of several sizes. With a single size it is 1 if
 * that agrees with our estimate of the text; else an upper bound, which gives pictures all tokens beyond the shortest
 * likely text.
 */
function ratioOf(counts: Count[]): number {
  let [over, under] = [0, 0];
  for (const group of groups(counts)) {
    const meanOurs = mean(group.map(({ ours }) => ours));
    const meanPrompt = mean(group.map(({ prompt }) => prompt));
    for (const { ours, prompt } of group) {
      over += (ours - meanOurs) * (prompt - meanPrompt);
      under += (ours - meanOurs) ** 2;
    }
  }
  if (under > 0) return Math.max(0, over / under);
  if (agrees(counts)) return 1;
  const bounds = counts.flatMap(({ prompt, text, ours }) =>
    ours === 0 ? [] : [(prompt - text / overestimate) / ours],
  );
  return Math.max(0, ...bounds);
}

/** Groups of one text with pictures of different sizes. */
function groups(counts: Count[]): Count[][] {
  const byKey = Map.groupBy(counts, ({ key }) => key);
  return [...byKey.values()].filter((group) => {
    const sizes = group.map(({ ours }) => ours);
    return Math.max(...sizes) - Math.min(...sizes) >= leastSpread;
  });
}

/** The most tokens that a text took besides its pictures, so that no earlier call exceeds the bound. */
function textOf(counts: Count[], key: string, ratio: number): number | undefined {
  const rests = counts.filter((count) => count.key === key).map(({ prompt, ours }) => prompt - ratio * ours);
  return rests.length === 0 ? undefined : Math.max(0, Math.ceil(Math.max(...rests)));
}

function predict(counts: Count[], { key, ours }: Count): number | undefined {
  const ratio = ratioOf(counts);
  const text = textOf(counts, key, ratio);
  return text === undefined ? undefined : text + ratio * ours;
}

const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
