import { expect, test } from "vitest";
import * as Counts from "#core/model/counts";

let servers = 0;
const fresh = () => ({ baseUrl: `http://127.0.0.1/${servers++}`, model: "a-model" });
/** A server that counts 1,700 tokens for the text, and `picture` tokens for a picture. */
const counted = (server: ReturnType<typeof fresh>, ours: number, picture: (ours: number) => number) =>
  Counts.note(server, { key: "text 1", ours, prompt: 1_700 + picture(ours), text: 1_900 });
const known = (server: ReturnType<typeof fresh>) => Counts.known(server, "text 1", 0.1);

test("Before the first count nothing is known of a server.", () => {
  expect(known(fresh())).toBeUndefined();
});

test("If the server counts pictures as the profile does, one call gives the true length of the text.", () => {
  const server = fresh();
  counted(server, 2_000, (ours) => ours);
  expect(known(server)).toEqual({ ratio: 1, textTokens: 1_700 });
  // For a text that was not sent yet, only the cost of pictures is known.
  expect(Counts.known(server, "other 1", 0.1)).toEqual({ ratio: 1, textTokens: undefined });
});

test("One count of a server that counts four times as much gives an upper bound, two give the slope.", () => {
  const server = fresh();
  counted(server, 2_000, (ours) => 4 * ours);
  const bound = known(server)?.ratio ?? 0;
  expect(bound).toBeGreaterThanOrEqual(4);
  expect(bound).toBeLessThan(4.2);
  counted(server, 900, (ours) => 4 * ours);
  expect(known(server)).toEqual({ ratio: 4, textTokens: 1_700 });
});

test("Intercept and slope are found when each picture costs a fixed number of tokens in addition to its pixels.", () => {
  const server = fresh();
  for (const ours of [500, 1_000, 2_000]) counted(server, ours, (each) => 260 + 0.5 * each);
  expect(known(server)).toEqual({ ratio: 0.5, textTokens: 1_960 });
});

test("Counts that fit no line are reported once, and no earlier picture would have exceeded the bound.", () => {
  const server = fresh();
  const steps = (ours: number) => (ours < 1_500 ? 300 : 2_400);
  for (const ours of [400, 800, 1_200]) expect(counted(server, ours, steps)).toBeUndefined();
  expect(counted(server, 1_600, steps)).toBe("unclear");
  expect(counted(server, 300, steps)).toBeUndefined();
  const { ratio = 0, textTokens = 0 } = known(server) ?? {};
  for (const ours of [400, 800, 1_200, 1_600, 300])
    expect(textTokens + ratio * ours).toBeGreaterThanOrEqual(1_700 + steps(ours) - 1);
});

test("Another model behind the same name is learned within a few dozen calls.", () => {
  const server = fresh();
  for (let ours = 300; ours < 3_300; ours += 100) counted(server, ours, (each) => each);
  for (let ours = 300; ours < 3_300; ours += 100) counted(server, ours, (each) => 3 * each);
  expect(known(server)).toEqual({ ratio: 3, textTokens: 1_700 });
});

test("A count of less than half of the text is ignored.", () => {
  const server = fresh();
  Counts.note(server, { key: "text 1", ours: 1_000, prompt: 100, text: 1_900 });
  expect(known(server)).toBeUndefined();
});
