import * as Rig from "/work/main/bench/batch/rig.ts";
import * as KeepBusy from "/work/main/bench/batch/keep-busy.ts";
const c = Number(process.argv[2] ?? 8), items = Number(process.argv[3] ?? 100), rounds = Number(process.argv[4] ?? 1);
const rig = await Rig.open({ maxConcurrency: 32, onLine: (l) => { if (process.env.LINES) process.stderr.write(l + "\n"); } });
try { console.log(JSON.stringify(await KeepBusy.measure(rig, { items, concurrency: c, rounds, progress: (l) => console.error(l) }), null, 1)); console.log(JSON.stringify(rig.counted)); } finally { await rig.close(); }
