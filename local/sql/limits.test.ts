import { describe, expect, test } from "vitest";
import { useWorkspace } from "#test/support/sql-workspace";

const { serve, clientOf } = useWorkspace();
const megabytes = (count: number) => `hex(zeroblob(${count * 500_000}))`;

describe("the limits and behavior of libSQL's server", () => {
  test("an answer of more than 10 MB is refused, all steps of a batch together, and what the batch wrote is not there", async () => {
    const client = clientOf((await serve()).url);
    await client.execute("CREATE TABLE t (a)");
    const six = `SELECT ${megabytes(6)} AS a`;
    expect((await client.execute(six)).rows).toHaveLength(1);
    const refused = { code: "RESPONSE_TOO_LARGE" };
    await expect(client.execute(`SELECT ${megabytes(11)}`)).rejects.toMatchObject(refused);
    await expect(client.batch(["INSERT INTO t VALUES (1)", six, six], "write")).rejects.toMatchObject(
      refused,
    );
    expect((await client.execute("SELECT count(*) AS n FROM t")).rows[0]?.n).toBe(0n);
  });

  test("a value of more than 5 MB is refused", async () => {
    const client = clientOf((await serve()).url);
    const length = (bytes: number) =>
      client.execute({ sql: "SELECT length(?) AS n", args: ["x".repeat(bytes)] });
    expect((await length(4_900_000)).rows[0]?.n).toBe(4_900_000n);
    await expect(length(5_100_000)).rejects.toMatchObject({ code: "ARGS_INVALID" });
  });

  test("a connection that has waited long enough gets the lock, and its old holder fails at its next step", async () => {
    const client = clientOf((await serve({ lockTimeoutMs: 150 })).url);
    await client.execute("CREATE TABLE t (a)");
    const holder = await client.transaction("write");
    await holder.execute("INSERT INTO t VALUES (1)");
    await client.execute("INSERT INTO t VALUES (2)");
    await expect(holder.execute("INSERT INTO t VALUES (3)")).rejects.toMatchObject({
      code: "TRANSACTION_TIMEOUT",
    });
    holder.close();
    expect((await client.execute("SELECT a FROM t")).rows.map(({ a }) => a)).toEqual([2n]);
  });

  test("statements that libSQL's server refuses are refused, and faults have its codes", async () => {
    const client = clientOf((await serve()).url);
    for (const text of ["ATTACH 'other.db' AS other", "VACUUM", "DETACH other", "SELEC 1"])
      await expect(client.execute(text), text).rejects.toMatchObject({ code: "SQL_PARSE_ERROR" });
    await expect(client.execute("SELECT * FROM absent")).rejects.toMatchObject({ code: "SQLITE_UNKNOWN" });
  });
});
