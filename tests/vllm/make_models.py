#!/usr/bin/env python3
"""Build the tiny random-weight models that a CPU-only vLLM server is tested with.

Nothing is downloaded: the tokenizers come from the few lines of text below, the
weights are random (from a fixed seed, so that two runs give the same files),
and every model is under 1 MiB.  The
answers are gibberish, but vLLM loads, schedules, samples and streams them as
it would any other model.

    python make_models.py [OUT_DIR]          (default: ./models)

makes

    OUT_DIR/llama    LlamaForCausalLM: chat, completions, responses, tools
    OUT_DIR/embed    BertModel with mean pooling: embeddings, pooling
    OUT_DIR/rerank   BertForSequenceClassification, one label: rerank, score
    OUT_DIR/classify BertForSequenceClassification, three labels: classify

Needs torch, transformers, tokenizers and safetensors, which vLLM brings along.
"""
# torch and the others are in vLLM's own environment, where no type checker runs.
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import json
import re
import string
import sys
from pathlib import Path

import torch
from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    GenerationConfig,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

SEED = 20240607
MAX_POSITIONS = 2048  # the longest prompt plus answer that any of the models takes
VOCAB_SIZE = 512  # 256 bytes, the special tokens and a few learnt merges

# The text that the tokenizers take their words from.
CORPUS = [
    "Hello, world! How are you today? I am a very small language model.",
    "The quick brown fox jumps over the lazy dog, and the dog does not mind.",
    "What is the weather in Paris? The weather in Paris is sunny and warm.",
    "What is the capital of France? The capital of France is Paris.",
    '{"name": "get_weather", "arguments": {"city": "Paris", "unit": "celsius"}}',
    '{"type": "object", "properties": {"answer": {"type": "string"}}, "required": ["answer"]}',
    "system user assistant tool function parameters true false null 0123456789",
]

BOS, EOS, PAD = "<|begin|>", "<|end|>", "<|pad|>"
TURN, TURN_END = "<|turn|>", "<|turn_end|>"
LLAMA_SPECIALS = [PAD, BOS, EOS, TURN, TURN_END]

# One turn is "<|turn|>role\ncontent<|turn_end|>\n".  Tools are listed in a first
# system turn; an assistant's tool calls are written as <tool_call>JSON</tool_call>,
# which is what vLLM's "hermes" tool parser reads back.
CHAT_TEMPLATE = """\
{%- macro text_of(content) -%}
    {%- if content is string -%}{{ content }}
    {%- elif content is iterable -%}
        {%- for part in content if part.type == 'text' -%}{{ part.text }}{%- endfor -%}
    {%- endif -%}
{%- endmacro -%}
{{- bos_token -}}
{%- if tools -%}
    {{- '<|turn|>system\\nTools:\\n' -}}
    {%- for tool in tools -%}{{- tool | tojson + '\\n' -}}{%- endfor -%}
    {{- 'Call one as <tool_call>{"name": ..., "arguments": {...}}</tool_call>.<|turn_end|>\\n' -}}
{%- endif -%}
{%- for message in messages -%}
    {{- '<|turn|>' + message.role + '\\n' + text_of(message.content) -}}
    {%- for call in message.tool_calls or [] -%}
        {{- '<tool_call>' + call.function | tojson + '</tool_call>' -}}
    {%- endfor -%}
    {{- '<|turn_end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|turn|>assistant\\n' -}}{%- endif -%}
"""


def byte_level_tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer: it can write every string, whatever it learnt."""
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tok.decoder = decoders.ByteLevel()
    tok.train_from_iterator(
        CORPUS,
        trainers.BpeTrainer(
            vocab_size=VOCAB_SIZE,
            special_tokens=LLAMA_SPECIALS,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    tok.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A",
        pair=f"{BOS} $A {BOS} $B",
        special_tokens=[(BOS, tok.token_to_id(BOS))],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tok,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        additional_special_tokens=[TURN, TURN_END],
        chat_template=CHAT_TEMPLATE,
        model_max_length=MAX_POSITIONS,
        clean_up_tokenization_spaces=False,
    )


def wordpiece_tokenizer() -> PreTrainedTokenizerFast:
    """A lower-casing WordPiece tokenizer with BERT's special tokens.

    The vocabulary is written down, not learnt (the trainer gives another one in
    each run): the corpus's words, and every ASCII character on its own and
    inside a word, so that no ASCII text is unknown.
    """
    characters = string.ascii_lowercase + string.digits + string.punctuation
    words = re.findall(r"[a-z]{2,}", " ".join(CORPUS).lower())
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    pieces += [*characters, *("##" + c for c in characters), *sorted(set(words))]
    vocab = {piece: i for i, piece in enumerate(pieces)}
    tok = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]"))
    tok.normalizer = normalizers.BertNormalizer(lowercase=True)
    tok.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tok.decoder = decoders.WordPiece()
    cls, sep = ("[CLS]", tok.token_to_id("[CLS]")), ("[SEP]", tok.token_to_id("[SEP]"))
    tok.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[cls, sep]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tok,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=MAX_POSITIONS,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )


def prefer_printable(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast) -> None:
    """Keep control bytes, bare white space and stray special tokens out of the answers.

    Random weights choose those as readily as anything else.  Bare white space is
    the worst: JSON allows any amount of it, so a grammar-guided answer (a tool
    call, say) would be white space up to max_tokens.  Llama has no output bias to
    forbid tokens with, so hidden channel 0 is made one: every token's embedding
    has 1 there, no layer writes to it, and lm_head's column 0 then adds to each
    token's logit.
    """
    endings = {tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids(TURN_END)}
    specials = set(tokenizer.all_special_ids)
    bias = torch.zeros(len(tokenizer))
    for token in range(len(tokenizer)):
        text = tokenizer.decode([token])
        readable = text.isascii() and text.isprintable() and text.strip()
        if token not in endings and (token in specials or not readable):
            bias[token] = -40.0
    with torch.no_grad():
        torch.nn.init.normal_(model.model.embed_tokens.weight, std=1.0)
        torch.nn.init.normal_(model.lm_head.weight, std=0.3)
        model.model.embed_tokens.weight[:, 0] = 1.0
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight[0] = 0.0
            layer.mlp.down_proj.weight[0] = 0.0
        model.lm_head.weight[:, 0] = bias


def build_llama(out: Path) -> None:
    tokenizer = byte_level_tokenizer()
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=2,  # head size 32, the smallest vLLM's CPU attention takes
            num_key_value_heads=1,
            max_position_embeddings=MAX_POSITIONS,
            tie_word_embeddings=False,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    prefer_printable(model, tokenizer)
    model.generation_config = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=[tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids(TURN_END)],
        pad_token_id=tokenizer.pad_token_id,
    )
    save(model, tokenizer, out)


def bert_config(tokenizer: PreTrainedTokenizerFast, **extra) -> BertConfig:
    return BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=MAX_POSITIONS,
        initializer_range=0.2,  # at the usual 0.02 all texts get about the same answer
        pad_token_id=tokenizer.pad_token_id,
        **extra,
    )


def build_embed(out: Path) -> None:
    tokenizer = wordpiece_tokenizer()
    # Without the list, vLLM refuses the "dimensions" of an embeddings request.
    config = bert_config(tokenizer, matryoshka_dimensions=[16, 32, 64])
    save(BertModel(config), tokenizer, out)
    # The sentence-transformers files: mean pooling, then a unit-length vector.
    modules = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]
    write_json(
        out / "modules.json",
        [
            {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
            for i, (path, kind) in enumerate(modules)
        ],
    )
    write_json(
        out / "1_Pooling" / "config.json",
        {"word_embedding_dimension": 64, "pooling_mode_mean_tokens": True},
    )


def build_classifier(out: Path, labels: list[str]) -> None:
    """One label makes a cross-encoder (rerank, score), more make a classifier."""
    tokenizer = wordpiece_tokenizer()
    config = bert_config(
        tokenizer,
        id2label=dict(enumerate(labels)),
        label2id={label: i for i, label in enumerate(labels)},
    )
    save(BertForSequenceClassification(config), tokenizer, out)


def save(model, tokenizer: PreTrainedTokenizerFast, out: Path) -> None:
    model.to(torch.float32).save_pretrained(out)  # writes model.safetensors
    tokenizer.save_pretrained(out)


def write_json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    root = Path(sys.argv[1] if len(sys.argv) > 1 else "models")
    jobs = {
        "llama": build_llama,
        "embed": build_embed,
        "rerank": lambda out: build_classifier(out, ["relevance"]),
        "classify": lambda out: build_classifier(out, ["negative", "neutral", "positive"]),
    }
    for name, build in jobs.items():
        torch.manual_seed(SEED)
        out = root / name
        out.mkdir(parents=True, exist_ok=True)
        build(out)
        size = sum(f.stat().st_size for f in out.rglob("*") if f.is_file())
        print(f"{out}: {size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
