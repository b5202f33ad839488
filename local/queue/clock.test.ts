import { expect, test, vi } from "vitest";
import { startLambda } from "#local/lambda/fixtures/harness";
import { periodMs, start } from "#local/queue/clock";

test("a rate is a number of minutes, hours or days", () => {
  expect(["rate(1 minute)", "rate(2 hours)", "rate(1 day)"].map(periodMs)).toEqual([
    60_000, 7_200_000, 86_400_000,
  ]);
  for (const wrong of ["rate(0 minutes)", "rate(1 second)", "cron(* * * * ? *)", ""])
    expect(() => periodMs(wrong)).toThrow("no rate");
});

test("a function is called repeatedly, never twice at a time, and not after the stop", async () => {
  const lambda = await startLambda(
    { slow: { handler: "local/lambda/fixtures/queue.slow", pool: "clock" } },
    { pools: { clock: 4 } },
  );
  // Every 100 ms; a call takes 250 ms.
  const clock = start({
    schedules: { slow: { function: "slow", rate: "rate(1 minute)" } },
    lambda,
    timeScale: 1 / 600,
    region: "us-east-1",
  });
  const events = () => lambda.log.map(({ line }) => JSON.parse(line).event);
  await vi.waitFor(() => expect(events().length).toBeGreaterThanOrEqual(6), { timeout: 5_000 });
  await clock.stop();
  const before = events();
  expect(before.join(" ")).toMatch(/^(begin end ?)+$/);
  await lambda.close();
  expect(events()).toEqual(before);
});
