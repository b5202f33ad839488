import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import * as Profiles from "#core/model/profiles/profiles";
import { profileNames } from "#spec/profile-names";

describe("the profile of a served model", () => {
  test.each([
    ["Qwen/Qwen3-VL-8B-Instruct", "qwen3-vl"],
    ["Qwen/Qwen3-VL-8B-Instruct-FP8", "qwen3-vl"],
    ["/workspace/models/qwen3-vl-30b-a3b-awq", "qwen3-vl"],
    ["Qwen/Qwen3.5-9B", "qwen3.5"],
    ["Qwen/Qwen3.8-35B-A3B", "qwen3.5"],
    ["Qwen/Qwen2.5-VL-7B-Instruct", "qwen2.5-vl"],
    ["google/gemma-4-12b-it", "gemma-4"],
    ["google/gemma-3-12b-it", "gemma-3"],
    ["OpenGVLab/InternVL3_5-8B", "internvl"],
    ["openbmb/MiniCPM-V-4_5", "minicpm-v"],
    ["openbmb/MiniCPM-o-2_6", "minicpm-v"],
    ["zai-org/GLM-4.6V", "glm-v"],
    ["zai-org/GLM-4.1V-9B-Thinking", "glm-v"],
    ["zai-org/GLM-OCR", "glm-v"],
    ["mistralai/Mistral-Small-3.2-24B-Instruct-2506", "mistral"],
    ["mistralai/Ministral-3-8B-Instruct-2512", "mistral"],
    ["my-own-model", "generic"],
    ["Qwen/Qwen3-8B", "generic"],
    ["", "generic"],
  ])("named %j is %s", (model, name) => {
    expect(Profiles.choose(model).name).toBe(name);
  });

  test("is the one that the operator names, whatever the model is called", () => {
    for (const name of profileNames) expect(Profiles.choose("Qwen/Qwen3-VL-8B", name).name).toBe(name);
  });

  test("stands in the table of docs/gpu.md, each with a line of its own", () => {
    const page = readFileSync("docs/gpu.md", "utf8");
    const rows = [...page.matchAll(/^\| `([a-z0-9.-]+)` \|.*tokens/gm)].map(([, name]) => name);
    expect(rows).toEqual([...profileNames]);
  });
});
