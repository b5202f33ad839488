import * as z from "zod";
import { keyIdPattern } from "#core/id";
import { scopes as allScopes, type Scope } from "#spec/routes";

export const roles = ["client", "debugger", "admin"] as const;
export type Role = (typeof roles)[number];

/** Roles are presets; only the stored scopes count (docs/operate/keys.md, "Scopes of admin keys"). */
export const presets: Record<Role, readonly Scope[]> = {
  client: ["extract:run"],
  debugger: ["extract:run", "debug:run", "extracts:delete"],
  admin: allScopes,
};

/** `tmp` and `uploads` are folders of the bucket at the level of key ids (`inputs/…`). */
const reservedIds = ["shared", "tmp", "uploads", "anonymous"];

export const KeyId = z
  .string()
  .regex(keyIdPattern, "lower-case letters, digits, - and _, at most 64, beginning with a letter or digit")
  .refine((id) => !reservedIds.includes(id), "this name is reserved");
