/** Messages of servers for a context that is too long (all with status 400), by their source. */
export const contextTooLong = {
  vllmDecoderPrompt:
    "The decoder prompt (length 9000) is longer than the maximum model length of 8192. Make sure that `max_model_len` is no smaller than the number of text tokens plus multimodal tokens.",
  vllmInputLength: "Input length (9000) exceeds model's maximum context length (8192).",
  vllmTooLarge:
    "'max_tokens' or 'max_completion_tokens' is too large: 1024. This model's maximum context length is 8192 tokens and your request has 9000 input tokens (1024 > 8192 - 9000).",
  vllmRequested:
    "This model's maximum context length is 8192 tokens. However, you requested 1024 output tokens and your prompt contains at least 9000 input tokens, for a total of at least 10024 tokens. Please reduce the length of the input prompt or the number of requested output tokens.",
  vllmMessages:
    "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens. Please reduce the length of the messages.",
  vllmPassed:
    "You passed 9000 input tokens and requested 1024 output tokens. However, the model's context length is only 8192 tokens, resulting in a maximum input length of 7168 tokens. Please reduce the length of the input prompt.",
  vllmOldMaxTokens: "max_tokens must be at least 1, got -808.",
  openai:
    "This model's maximum context length is 8192 tokens. However, you requested 10024 tokens (9000 in the messages, 1024 in the completion). Please reduce the length of the messages or completion.",
  sglang: "The input (9000 tokens) is longer than the model's context length (8192 tokens).",
  sglangTotal:
    "Requested token count exceeds the model's maximum context length of 8192 tokens. You requested a total of 10024 tokens: 9000 tokens from the input messages and 1024 tokens for the completion.",
  llamaCpp:
    "the request exceeds the available context size. try increasing the context size or enable context shift",
} as const;

/** vLLM 0.32's message if the picture is not the cause. */
export const notThePicture = {
  /** The number is where it stopped counting: always one more than the limit. */
  textAlone:
    "This model's maximum context length is 4096 tokens. However, your prompt contains at least 4097 input tokens, which exceeds this limit even without any output tokens. Please reduce the length of the input prompt.",
  characters:
    "This model's maximum context length is 4096 tokens. However, your prompt contains 700000 characters (more than 524288 characters, which is the upper bound for 4096 input tokens). Please reduce the length of the input prompt.",
  answerAlone:
    "max_tokens=5000 cannot be greater than max_model_len=4096. Please request fewer output tokens.",
  /** 0.12 to 0.20: it counts the text up to the room that the answer leaves, and one more. */
  stoppedByAnswer:
    "This model's maximum context length is 4096 tokens. However, you requested 3584 output tokens and your prompt contains at least 513 input tokens, for a total of at least 4097 tokens. Please reduce the length of the input prompt or the number of requested output tokens.",
} as const;
