"""Writes a tiny Qwen3-VL with random weights: a real architecture, tokenizer and picture processor for a real vLLM.

    python tiny_model.py FOLDER --tokenizer FOLDER [--answers short|long] [--thinks]

--tokenizer    has tokenizer.json and tokenizer_config.json of Qwen3
--answers      short: null wherever the grammar allows it, so that answers to the product's tasks fit their schema;
               long: no token is likelier, so that an answer goes on until its tokens are used up
--thinks       the chat template opens a block of thinking unless `enable_thinking` is false

The weights are noise, and so are the answers. What is real is the protocol, the grammar, the errors, the tokens, the
processing of pictures and the life of the server.
"""

import argparse
import json
import pathlib
import shutil

import torch
from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

VOCABULARY = 151_936
HIDDEN = 128

parser = argparse.ArgumentParser()
parser.add_argument("folder", type=pathlib.Path)
parser.add_argument("--tokenizer", type=pathlib.Path, required=True)
parser.add_argument("--answers", choices=["short", "long"], default="short")
parser.add_argument("--thinks", action="store_true")
wanted = parser.parse_args()
wanted.folder.mkdir(parents=True, exist_ok=True)

tokenizer = json.loads((wanted.tokenizer / "tokenizer.json").read_text("utf8"))
ids = dict(tokenizer["model"]["vocab"])
ordinary = len(ids)
ids.update({token["content"]: token["id"] for token in tokenizer["added_tokens"]})

config = Qwen3VLConfig(
    text_config={
        "vocab_size": VOCABULARY,
        "hidden_size": HIDDEN,
        "intermediate_size": 256,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": HIDDEN,
        "hidden_act": "silu",
        "max_position_embeddings": 32_768,
        "rms_norm_eps": 1e-6,
        "attention_bias": False,
        "tie_word_embeddings": False,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 5_000_000.0,
            "mrope_section": [24, 20, 20],
            "mrope_interleaved": True,
        },
        "bos_token_id": ids["<|endoftext|>"],
        "eos_token_id": ids["<|im_end|>"],
        "pad_token_id": ids["<|endoftext|>"],
    },
    vision_config={
        "depth": 2,
        "hidden_size": 64,
        "hidden_act": "gelu_pytorch_tanh",
        "intermediate_size": 128,
        "num_heads": 2,
        "in_channels": 3,
        "patch_size": 16,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        "out_hidden_size": HIDDEN,
        "num_position_embeddings": 2_304,
        "deepstack_visual_indexes": [0, 1],
    },
    image_token_id=ids["<|image_pad|>"],
    video_token_id=ids["<|video_pad|>"],
    vision_start_token_id=ids["<|vision_start|>"],
    vision_end_token_id=ids["<|vision_end|>"],
    tie_word_embeddings=False,
)


def likelier(head: torch.Tensor, texts: list[str], by: float) -> None:
    """Column 0 of the head meets a constant in every hidden state, so it is a bias of each token."""
    for text in texts:
        if text in ids:
            head[ids[text], 0] += by


def printable(text: str) -> bool:
    return all((char.isascii() and char.isalnum()) or char in '.,-/:{}[]" _\u0120' for char in text)


torch.manual_seed(11)
model = Qwen3VLForConditionalGeneration(config)
noise = torch.Generator().manual_seed(11)
with torch.no_grad():
    embedding = model.model.language_model.embed_tokens.weight
    embedding.copy_(torch.randn(embedding.shape, generator=noise) * 0.5)
    embedding[:, 0] = 2.0
    head = model.lm_head.weight
    head.copy_(torch.randn(head.shape, generator=noise) * 0.1)
    head[:, 0] = 0.0
    if wanted.answers == "short":
        # A quote closes the name, then `:null` is one token: none that opens a text may come before it.
        likelier(head, [text for text in ids if ":" in text and '"' in text], -5.0)
        likelier(head, [":null"], 5.0)
        likelier(head, ['"'], 3.0)
        closing = ['"', '",', '"}', '"]', '"}]', '"}}', "]", "}", "},", "],", "]}", "}}", ",", "null"]
        likelier(head, closing, 0.55)
        for text, token in ids.items():
            if token < ordinary and not printable(text):
                head[token, 0] -= 1.0
    if wanted.thinks:
        likelier(head, ["</think>"], 0.5)
        # A few nulls of thinking, then its end.
        embedding[ids[":null"], 1] = 8.0
        head[ids["</think>"], 1] = 6.0
    for special in tokenizer["added_tokens"]:
        if special["content"] not in ("<|im_end|>", "</think>"):
            head[special["id"], 0] -= 5.0
    head[len(ids) :, 0] -= 5.0
model.to(torch.bfloat16).save_pretrained(wanted.folder)

shutil.copy(wanted.tokenizer / "tokenizer.json", wanted.folder)
picture = "<|vision_start|><|image_pad|><|vision_end|>"
video = "<|vision_start|><|video_pad|><|vision_end|>"
answer = "<|im_start|>assistant\\n"
thinking = (
    "{%- if enable_thinking is defined and enable_thinking is false %}{{ '<think>\\n\\n</think>\\n\\n' }}"
    "{%- else %}{{ '<think>\\n' }}{%- endif %}"
)
template = (
    "{%- for message in messages %}<|im_start|>{{ message.role }}{{ '\\n' }}"
    "{%- if message.content is string %}{{ message.content }}{%- else %}{%- for part in message.content %}"
    f"{{%- if 'image' in part or 'image_url' in part or part.type == 'image' %}}{picture}"
    f"{{%- elif 'video' in part or part.type == 'video' %}}{video}"
    "{%- elif 'text' in part %}{{ part.text }}{%- endif %}{%- endfor %}{%- endif %}<|im_end|>{{ '\\n' }}{%- endfor %}"
    f"{{%- if add_generation_prompt %}}{{{{ '{answer}' }}}}{thinking if wanted.thinks else ''}{{%- endif %}}"
)
settings = json.loads((wanted.tokenizer / "tokenizer_config.json").read_text("utf8"))
settings["chat_template"] = template
(wanted.folder / "tokenizer_config.json").write_text(json.dumps(settings, ensure_ascii=False), "utf8")
(wanted.folder / "chat_template.jinja").write_text(template, "utf8")

processor = {
    "patch_size": 16,
    "temporal_patch_size": 2,
    "merge_size": 2,
    "image_mean": [0.5] * 3,
    "image_std": [0.5] * 3,
    "processor_class": "Qwen3VLProcessor",
}
pictures = {"image_processor_type": "Qwen2VLImageProcessorFast", "size": {"longest_edge": 16_777_216, "shortest_edge": 65_536}}
videos = {"video_processor_type": "Qwen3VLVideoProcessor", "size": {"longest_edge": 25_165_824, "shortest_edge": 4_096}}
(wanted.folder / "preprocessor_config.json").write_text(json.dumps(processor | pictures))
(wanted.folder / "video_preprocessor_config.json").write_text(json.dumps(processor | videos))
generation = {
    "bos_token_id": ids["<|endoftext|>"],
    "eos_token_id": [ids["<|im_end|>"], ids["<|endoftext|>"]],
    "pad_token_id": ids["<|endoftext|>"],
    "do_sample": False,
}
(wanted.folder / "generation_config.json").write_text(json.dumps(generation))
