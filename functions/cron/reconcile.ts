import type { Context } from "aws-lambda";
import * as Resume from "#core/extraction/resume";
import * as Log from "#core/log";
import { patient } from "#functions/services";

/** Each minute: mends what crashes left. In a healthy system it mends nothing, and says so. */
export async function handler(_event: unknown, context: Context): Promise<void> {
  await Resume.reconcile(
    patient(),
    Log.create({ request_id: context.awsRequestId, function: context.functionName }),
  );
}
