"""A folder in Hugging Face's layout with a small random Llama, written with the standard library alone."""
import json
import os
import random
import struct

CONFIG = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 16, "hidden_size": 32,
          "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
          "max_position_embeddings": 24, "rope_theta": 5000.0, "rms_norm_eps": 1e-6, "tie_word_embeddings": True,
          "hidden_act": "silu", "attention_bias": False, "mlp_bias": False, "rope_scaling": None,
          "torch_dtype": "bfloat16"}


def rounded(value, dtype):
    """The nearest value of the type, and its bytes."""
    if dtype == "F16":
        packed = struct.pack("<e", value)
        return struct.unpack("<e", packed)[0], packed
    bits, = struct.unpack("<I", struct.pack("<f", value))
    if dtype == "F32":
        return struct.unpack("<f", struct.pack("<f", value))[0], struct.pack("<f", value)
    bits = (bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000
    return struct.unpack("<f", struct.pack("<I", bits))[0], struct.pack("<H", bits >> 16)


def shapes(config):
    width, hidden, heads = config["hidden_size"], config["intermediate_size"], config["num_attention_heads"]
    size = config.get("head_dim") or width // heads
    query, key = heads * size, config["num_key_value_heads"] * size
    found = {"model.embed_tokens.weight": [config["vocab_size"], width], "model.norm.weight": [width]}
    if not config["tie_word_embeddings"]:
        found["lm_head.weight"] = [config["vocab_size"], width]
    for layer in range(config["num_hidden_layers"]):
        name = f"model.layers.{layer}."
        found |= {name + "input_layernorm.weight": [width], name + "post_attention_layernorm.weight": [width],
                  name + "self_attn.q_proj.weight": [query, width], name + "self_attn.k_proj.weight": [key, width],
                  name + "self_attn.v_proj.weight": [key, width], name + "self_attn.o_proj.weight": [width, query],
                  name + "mlp.gate_proj.weight": [hidden, width], name + "mlp.up_proj.weight": [hidden, width],
                  name + "mlp.down_proj.weight": [width, hidden]}
    return found


def write_safetensors(path, tensors, dtype):
    """Returns the values as the type holds them: {name: (shape, values)}."""
    header, data, kept = {"__metadata__": {"format": "pt"}}, bytearray(), {}
    for name, (shape, values) in tensors.items():
        pairs = [rounded(v, dtype) for v in values]
        begin = len(data)
        data += b"".join(p[1] for p in pairs)
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [begin, len(data)]}
        kept[name] = shape, [p[0] for p in pairs]
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)
    return kept


def make_folder(folder, dtype="BF16", shards=1, seed=1, more=None, **changes):
    """Makes the folder and returns (config, {name: (shape, values)}). `more`: further tensors, by name their shape."""
    os.makedirs(folder)
    config = {**CONFIG, **changes}
    draw = random.Random(seed)
    with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as file:
        json.dump({k: v for k, v in config.items() if v != "absent"}, file)
    tensors = {}
    for name, shape in {**shapes(config), **(more or {})}.items():
        count = shape[0] * (shape[1] if len(shape) == 2 else 1)
        middle, spread = (1, 0.1) if len(shape) == 1 else (0, 0.2)
        tensors[name] = shape, [draw.gauss(middle, spread) for _ in range(count)]
    names = list(tensors)
    if shards == 1:
        return config, write_safetensors(os.path.join(folder, "model.safetensors"), tensors, dtype)
    kept, where = {}, {}
    for i in range(shards):
        file = f"model-{i + 1:05d}-of-{shards:05d}.safetensors"
        own = {name: tensors[name] for name in names[i::shards]}
        kept |= write_safetensors(os.path.join(folder, file), own, dtype)
        where |= {name: file for name in own}
    with open(os.path.join(folder, "model.safetensors.index.json"), "w", encoding="utf-8") as file:
        json.dump({"metadata": {}, "weight_map": where}, file)
    return config, kept
