/**
 * The page that an operator opens first. It shows whether the API and the model answer, work proceeds, and anything
 * fails.
 */

import { metrics, namespace, refusedCalls, service } from "../spec/metrics.ts";
import { api } from "./api.ts";
import { functions } from "./functions.ts";
import { pairs } from "./queue-resources.ts";

type Input = $util.Input<string>;
/** Namespace, metric, each dimension as name and value, then how it is drawn. */
type Line = (Input | { stat?: string; label?: string; yAxis?: "right" })[];

const width = 12;
const height = 6;

const ofApi = (name: string, stat: string, label: string): Line => [
  "AWS/ApiGateway",
  name,
  "ApiId",
  api.nodes.api.id,
  { stat, label },
];
const own = (name: string, stat: string, label: string): Line => [
  namespace,
  name,
  "service",
  service,
  "stage",
  $app.stage,
  { stat, label },
];
const ofQueue = (queue: sst.aws.Queue, name: string, label: string): Line => [
  "AWS/SQS",
  name,
  "QueueName",
  queue.nodes.queue.name,
  { stat: "Maximum", label },
];
const ofFunctions = (name: string, stat: string): Line[] =>
  Object.entries(functions).map(([label, each]) => [
    "AWS/Lambda",
    name,
    "FunctionName",
    each.nodes.function.name,
    { stat, label },
  ]);

interface Widget {
  readonly title: string;
  readonly lines: Line[];
}

const callWidgets = (): Widget[] => [
  {
    title: "Calls",
    lines: [
      ofApi("Count", "Sum", "all"),
      ofApi("4xx", "Sum", "4xx"),
      [`${namespace}/${$app.stage}`, refusedCalls, { stat: "Sum", label: "401" }],
      ofApi("5xx", "Sum", "5xx"),
    ],
  },
  {
    title: "Latency of calls, ms",
    lines: [ofApi("Latency", "p50", "median"), ofApi("Latency", "p95", "95 %")],
  },
  {
    title: "Model calls, ms",
    lines: [own(metrics.modelCallMs, "p50", "median"), own(metrics.modelCallMs, "p95", "95 %")],
  },
  {
    title: "Model calls and pictures",
    lines: [
      own(metrics.modelCallErrors, "SampleCount", "model calls"),
      own(metrics.modelCallErrors, "Sum", "of these failed"),
      own(metrics.itemErrors, "SampleCount", "pictures"),
      own(metrics.itemErrors, "Sum", "of these not read"),
      own(metrics.modelAway, "Sum", "probes without an answer"),
      own(metrics.keyShare, "Maximum", "largest share of one key, %"),
      own(metrics.expiringSecrets, "Maximum", "secrets that expire soon"),
      own(metrics.podFailed, "Sum", "pod: failed starts"),
      own(metrics.podNoCapacity, "Sum", "pod: no GPU free"),
      own(metrics.podOrphan, "Sum", "pod: up without work"),
      own(metrics.podBudget, "Sum", "pod: ceiling of the day"),
      own(metrics.podProvider, "Sum", "pod: provider away"),
    ],
  },
];

const workWidgets = (): Widget[] => {
  const queues = Object.entries(pairs);
  return [
    {
      title: "Oldest message, seconds",
      lines: queues.map(([name, { queue }]) => ofQueue(queue, "ApproximateAgeOfOldestMessage", name)),
    },
    {
      title: "Messages: waiting, dead",
      lines: queues.flatMap(([name, { queue, deadLetters }]) => [
        ofQueue(queue, "ApproximateNumberOfMessagesVisible", name),
        ofQueue(deadLetters, "ApproximateNumberOfMessagesVisible", `${name}, dead`),
      ]),
    },
    { title: "Functions: errors", lines: ofFunctions("Errors", "Sum") },
    { title: "Functions: throttled", lines: ofFunctions("Throttles", "Sum") },
  ];
};

/** Makes the dashboard of the stage. */
export function dashboard(): void {
  const { region } = aws.getRegionOutput();
  new aws.cloudwatch.Dashboard("Dashboard", {
    dashboardName: `${$app.name}-${$app.stage}`,
    dashboardBody: $jsonStringify({
      widgets: [...callWidgets(), ...workWidgets()].map(({ title, lines }, i) => ({
        type: "metric",
        x: (i % 2) * width,
        y: Math.floor(i / 2) * height,
        width,
        height,
        properties: { title, metrics: lines, region, period: 300, view: "timeSeries" },
      })),
    }),
  });
}
