/**
 * `npm run bench -- doors [--json]`: the time from the gateway's event to a picture's bytes for each way in: JSON
 * with base64, a form, the picture itself. The three run in turns; wall clock, median of the rounds, without the
 * decoding of the event's own JSON, which Lambda's runtime does.
 */
import { parseArgs } from "node:util";
import * as Source from "#core/source/source";
import * as ExtractBody from "#functions/request/extract-body";
import { sizes } from "#spec/limits";
import * as Figures from "./support/figures.ts";

const rounds = 40;
const warmUpRounds = 5;
const pictureBytes = [250_000, 1_000_000, sizes.inlineImageBytes] as const;

interface Door {
  readonly name: string;
  /** The event's body, as the gateway hands it over. */
  readonly body: string;
  read(body: string): Promise<Uint8Array | undefined>;
}

/** JPEG's first bytes, then noise in which no parser finds an early end. */
function picture(bytes: number): Buffer {
  const noise = Buffer.alloc(bytes);
  for (let i = 0, state = 1; i < bytes; i += 1) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    noise[i] = state >>> 16;
  }
  noise.set([0xff, 0xd8, 0xff, 0xe0]);
  return noise;
}

function doors(bytes: Buffer): Door[] {
  const boundary = "------------------------d74496d66958873e";
  const form = Buffer.concat([
    Buffer.from(
      `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="photo.jpg"\r\nContent-Type: image/jpeg\r\n\r\n`,
    ),
    bytes,
    Buffer.from(
      `\r\n--${boundary}\r\nContent-Disposition: form-data; name="task_id"\r\n\r\nreceipt_v1\r\n--${boundary}--\r\n`,
    ),
  ]);
  const read = (contentType: string) => async (body: string) =>
    (await ExtractBody.read({}, undefined, { contentType, bytes: Buffer.from(body, "base64") })).image?.bytes;
  return [
    {
      name: "JSON",
      body: JSON.stringify({ task_id: "receipt_v1", image_base64: bytes.toString("base64") }),
      read: async (body) => {
        const raw = { contentType: "application/json", bytes: new Uint8Array() };
        const { image_base64 = "" } = await ExtractBody.read({}, JSON.parse(body), raw);
        return Source.decode(image_base64).bytes;
      },
    },
    { name: "form", body: form.toString("base64"), read: read(`multipart/form-data; boundary=${boundary}`) },
    { name: "picture itself", body: bytes.toString("base64"), read: read("image/jpeg") },
  ];
}

/** Measures and prints. @returns the exit status. */
export async function run(args: string[]): Promise<number> {
  const { values } = parseArgs({ args, options: { json: { type: "boolean", default: false } } });
  const rows: { bytes: number; door: string; event_body_bytes: number; ms: number }[] = [];
  for (const size of pictureBytes) {
    const bytes = picture(size);
    const all = doors(bytes).map((door) => ({ ...door, ms: [] as number[] }));
    for (let round = -warmUpRounds; round < rounds; round += 1) {
      for (const door of all) {
        const startedAt = performance.now();
        const read = await door.read(door.body);
        const ms = performance.now() - startedAt;
        if (read?.length !== size) throw new Error(`${door.name}: the picture that came out differs`);
        if (round >= 0) door.ms.push(ms);
      }
    }
    for (const { name, body, ms } of all)
      rows.push({
        bytes: size,
        door: name,
        event_body_bytes: body.length,
        ms: Figures.round(Figures.median(ms), 2),
      });
  }
  const head = ["picture bytes", "door", "event's body bytes", "ms"];
  console.log(
    values.json
      ? JSON.stringify(rows, null, 2)
      : Figures.table(
          head,
          rows.map(({ bytes, door, event_body_bytes, ms }) => [bytes, door, event_body_bytes, ms]),
        ),
  );
  return 0;
}
