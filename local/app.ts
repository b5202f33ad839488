import type { RouteTable } from "#local/gateway/routes";
import type * as Wiring from "#local/queue/wiring";
import { type FunctionSpec, functions } from "#spec/functions";
import * as Queues from "#spec/queues";
import * as Routes from "#spec/routes";

/** The application to run: the tables of spec/, or those of a test. */
export interface App extends Partial<Wiring.Tables> {
  readonly functions: Readonly<Record<string, FunctionSpec>>;
  readonly table: RouteTable;
  /** True if the messages can be derived from the product's tables: then a loop starts with new messages. */
  readonly resumes?: boolean;
}

/** The product by the tables of spec/. */
export const product: App = {
  functions,
  table: { routes: Routes.deployed, defaultFunction: Routes.defaultFunction },
  queues: Queues.queues,
  schedules: Queues.schedules,
  resumes: true,
};
