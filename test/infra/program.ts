/**
 * Runs a bundled program under Pulumi's mocks in a process of its own, because Pulumi can run only one program per
 * process. Arguments: SST's platform folder, the program, the stage, and the file for the resources.
 */
import * as fs from "node:fs";
import * as module from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

// Each stage loads the same packages and the same program.
module.enableCompileCache(join(import.meta.dirname, "..", "..", "node_modules", ".cache", "ocrlty-compile"));

const [platform = "", program = "", stage = "", out = "", globals = "{}"] = process.argv.slice(2);
Object.assign(globalThis, JSON.parse(globals));

interface MockResource {
  type: string;
  name: string;
  inputs: Record<string, unknown>;
  id?: string;
}
interface Pulumi {
  runtime: {
    setMocks(mocks: unknown, project: string, stack: string, preview: boolean): Promise<void>;
    runInPulumiStack(init: () => Promise<unknown>): Promise<unknown>;
  };
}

// Exactly SST's copy, which its components use.
const require = module.createRequire(join(platform, "package.json"));
const pulumi = require("@pulumi/pulumi") as Pulumi;
const settings = require("@pulumi/pulumi/runtime/settings") as {
  waitForRPCs(disconnect: boolean): Promise<void>;
};

/** The fields of Pulumi's requests that are used here. */
interface Registration {
  getName(): string;
  getRetainondelete(): boolean;
  getUrn(): string;
  getOutputs(): { toJavaScript(): Record<string, unknown> };
}
type Callback = (...answer: unknown[]) => unknown;
/**
 * Facts that the mocks do not receive: which resources are retained on removal, and the outputs of components (their
 * links).
 */
const { MockMonitor } = require("@pulumi/pulumi/runtime/mocks") as {
  MockMonitor: {
    prototype: {
      registerResource(request: Registration, callback: Callback): unknown;
      registerResourceOutputs(request: Registration, callback: Callback): unknown;
    };
  };
};
const { registerResource, registerResourceOutputs } = MockMonitor.prototype;
const retained = new Set<string>();
const links: Record<string, unknown> = {};
MockMonitor.prototype.registerResource = function (request, callback) {
  if (request.getRetainondelete()) retained.add(request.getName());
  return registerResource.call(this, request, callback);
};
MockMonitor.prototype.registerResourceOutputs = function (request, callback) {
  const outputs = request.getOutputs().toJavaScript();
  if (request.getUrn().includes("sst:sst:LinkRef::")) links[String(outputs.target)] = outputs;
  return registerResourceOutputs.call(this, request, callback);
};

const account = "123456789012";
const region = "us-east-1";
/** Pulumi's mark on a wrapped secret. */
const secretMark = "4dabf18193072939515e22adb298388d";
const resources: MockResource[] = [];

/** The outputs that AWS would add to a resource, as far as others refer to them. */
function stateOf({ type, name, inputs }: MockResource): Record<string, unknown> {
  const arn = (service: string, rest: string) => `arn:aws:${service}:${region}:${account}:${rest}`;
  switch (type) {
    case "aws:sqs/queue:Queue": {
      const queue = `ocrlty-${stage}-${name}${inputs.fifoQueue === true ? ".fifo" : ""}`;
      return {
        name: queue,
        arn: arn("sqs", queue),
        url: `https://sqs.${region}.amazonaws.com/${account}/${queue}`,
      };
    }
    case "aws:lambda/function:Function":
      return { name, arn: arn("lambda", `function:${name}`), invokeArn: `invoke:${name}` };
    case "aws:apigatewayv2/api:Api":
      return {
        arn: arn("apigateway", name),
        executionArn: arn("execute-api", name),
        apiEndpoint: "https://api.example.com",
      };
    case "aws:acm/certificate:Certificate":
      return {
        arn: arn("acm", name),
        domainValidationOptions: [
          {
            domainName: inputs.domainName,
            resourceRecordName: `_proof.${inputs.domainName}`,
            resourceRecordType: "CNAME",
            resourceRecordValue: "_proof.acm-validations.aws",
          },
        ],
      };
    case "aws:cloudwatch/logGroup:LogGroup":
      return { arn: arn("logs", `log-group:${inputs.name}`) };
    case "random:index/randomBytes:RandomBytes":
      return { base64: Buffer.alloc(32).toString("base64"), hex: "00" };
    default:
      return { name: inputs.name ?? name, arn: arn(type.split(":")[1]?.split("/")[0] ?? "", name) };
  }
}

/** The values that AWS would add inside an input. */
function within({ type, inputs }: MockResource): Record<string, unknown> {
  // The random part of the name is made once and ignored afterwards.
  if (type === "cloudflare:index/r2Bucket:R2Bucket") return { name: `ocrlty-${stage}-bucket` };
  if (type !== "aws:apigatewayv2/domainName:DomainName") return {};
  const given = inputs.domainNameConfiguration as Record<string, unknown>;
  const added = { targetDomainName: "d-0.execute-api.example.com", hostedZoneId: "Z0" };
  return { domainNameConfiguration: { ...given, ...added } };
}

await pulumi.runtime.setMocks(
  {
    newResource: (resource: MockResource) => {
      resources.push(resource);
      return {
        id: `${resource.name}-id`,
        state: { ...stateOf(resource), ...resource.inputs, ...within(resource) },
      };
    },
    call: ({ token, inputs }: { token: string; inputs: Record<string, unknown> }) => {
      switch (token) {
        case "aws:iam/getPolicyDocument:getPolicyDocument":
          // The provider also omits empty values.
          return {
            ...((inputs.statements as unknown[]).length > 0 ? { statements: inputs.statements } : {}),
            json: JSON.stringify(inputs),
          };
        case "aws:index/getRegion:getRegion":
          return { region, name: region, id: region };
        case "aws:index/getPartition:getPartition":
          return { partition: "aws", id: "aws" };
        case "aws:index/getCallerIdentity:getCallerIdentity":
          return { accountId: account };
        default:
          return inputs;
      }
    },
  },
  "ocrlty",
  stage,
  false,
);
const { default: run } = (await import(pathToFileURL(program).href)) as { default: () => Promise<unknown> };
let outputs: Record<string, unknown> = {};
await pulumi.runtime.runInPulumiStack(async () => {
  outputs = (await run()) as typeof outputs;
  return outputs;
});
await settings.waitForRPCs(true);

const unwrapped = (_key: string, value: unknown) =>
  typeof value === "object" && value !== null && secretMark in value
    ? { secret: (value as { value?: unknown }).value }
    : value;
fs.writeFileSync(
  out,
  JSON.stringify(
    {
      resources: resources.map(({ type, name, inputs }) => ({
        type,
        name,
        inputs,
        retained: retained.has(name),
      })),
      links,
      outputs: Object.fromEntries(Object.entries(outputs).filter(([, value]) => typeof value === "string")),
    },
    unwrapped,
  ),
);
