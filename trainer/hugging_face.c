// Hugging Face's description of a model: config.json, generation_config.json, and the tokenizer's files. See
// checkpoint_files.h and hugging_face.h.
#include "trainer/hugging_face.h"

#include <string.h>

#include "base/version.h"
#include "kernels/formats/format.h"

// ---- config.json ----

// What a reader of a run's masters must know: they are not what the run evaluated.
static void put_stamp(struct json_writer *json, const struct model *model, const struct model_stamp *stamp) {
  bool none = strcmp(stamp->format, "none") == 0, masters = strcmp(stamp->weights, WEIGHTS_MASTERS) == 0;
  const struct format *format = model->config.parsed_format;
  json_key(json, "isoloss");
  json_object_begin(json);
  json_key_string(json, "version", ISOLOSS_VERSION);
  json_key_string(json, "run", stamp->run);
  json_key_integer(json, "step", stamp->step);
  json_key_string(json, "format", stamp->format);
  json_key_string(json, "weights", stamp->weights);
  json_key_string(json, "dtype", stamp->dtype);
  if (!none && masters)
    json_key_string(json, "note",
                    "these are master weights; the run's loss is that of the weights as its format represents them, "
                    "which isoloss export writes");
  else if (!none && !representation_is_none(&format->operands[OPERAND_ACTIVATIONS]))
    json_key_string(json, "note",
                    "the weights are as the format represents them; the run's loss is with activations that its format "
                    "represents too, which is left out here");
  json_object_end(json);
}

static void put_token(struct json_writer *json, const char *key, int64_t token) {
  json_key(json, key);
  if (token < 0)
    json_put_null(json);
  else
    json_put_integer(json, token);
}

bool model_config_write(const struct model *model, const struct model_stamp *stamp, const char *path,
                        struct digest *digest, struct error *error) {
  const struct run_config *c = &model->config;
  struct text text = {0};
  struct json_writer json = json_writer(&text, true);
  json_object_begin(&json);
  json_key(&json, "architectures");
  json_array_begin(&json);
  json_put_string(&json, "LlamaForCausalLM");
  json_array_end(&json);
  json_key_string(&json, "model_type", "llama");
  json_key_integer(&json, "vocab_size", c->model.vocabulary);
  json_key_integer(&json, "hidden_size", c->model.width);
  json_key_integer(&json, "intermediate_size", c->model.mlp_width);
  json_key_integer(&json, "num_hidden_layers", c->model.layers);
  json_key_integer(&json, "num_attention_heads", c->model.heads);
  json_key_integer(&json, "num_key_value_heads", c->model.kv_heads);
  json_key_integer(&json, "head_dim", c->model.head_dim);
  json_key_integer(&json, "max_position_embeddings", c->model.context);
  json_key_number(&json, "rope_theta", c->model.rope_theta);
  json_key(&json, "rope_scaling");
  json_put_null(&json);
  json_key_number(&json, "rms_norm_eps", c->model.norm_eps);
  json_key_boolean(&json, "tie_word_embeddings", c->model.tied_head);
  json_key_string(&json, "hidden_act", "silu");
  json_key_boolean(&json, "attention_bias", false);
  json_key_number(&json, "attention_dropout", 0);
  json_key_boolean(&json, "mlp_bias", false);
  json_key_number(&json, "initializer_range", c->model.init_std);
  json_key_string(&json, "torch_dtype", "float32");
  put_token(&json, "bos_token_id", -1);
  put_token(&json, "eos_token_id", stamp->end_token);
  put_token(&json, "pad_token_id", -1);
  put_stamp(&json, model, stamp);
  json_object_end(&json);
  bool fine = text_file_write(&text, path, digest, error);
  text_free(&text);
  return fine;
}

static bool write_text(const struct text *text, const char *path, struct error *error) {
  struct digest ignored;
  return text_file_write(text, path, &ignored, error);
}

bool generation_config_write(const struct model *model, int64_t end_token, const char *path, struct error *error) {
  struct text text = {0};
  struct json_writer json = json_writer(&text, true);
  json_object_begin(&json);
  json_key_boolean(&json, "do_sample", true);
  json_key_integer(&json, "max_length", model->config.model.context);
  put_token(&json, "eos_token_id", end_token);
  put_token(&json, "pad_token_id", end_token);
  json_object_end(&json);
  bool fine = write_text(&text, path, error);
  text_free(&text);
  return fine;
}

// ---- tokenizers ----

#define END_OF_TEXT "<|endoftext|>"

// The character that byte-level tokenizers (GPT-2's, Radford et al. 2019) write a byte as: itself where it is printable
// and no space, else one of those from U+0100 on, in order.
static void put_byte(struct text *out, int byte) {
  int code = 0x100;
  for (int i = 0; i <= byte; i++) {
    bool printable = (i >= '!' && i <= '~') || (i >= 0xA1 && i <= 0xAC) || i >= 0xAE;
    if (i == byte && printable) code = byte;
    if (i == byte) break;
    if (!printable) code++;
  }
  if (code < 0x80) {
    text_char(out, (char)code);
  } else {
    text_char(out, (char)(0xC0 | code >> 6));
    text_char(out, (char)(0x80 | (code & 0x3F)));
  }
}

static void put_vocabulary(struct json_writer *json, int64_t end_token) {
  struct text byte = {0};
  json_object_begin(json);
  for (int i = 0; i < 256; i++) {
    text_clear(&byte);
    put_byte(&byte, i);
    json_key_integer(json, text_string(&byte), i);
  }
  json_key_integer(json, END_OF_TEXT, end_token);
  json_object_end(json);
  text_free(&byte);
}

static void put_byte_level(struct json_writer *json, const char *key) {
  json_key(json, key);
  json_object_begin(json);
  json_key_string(json, "type", "ByteLevel");
  json_key_boolean(json, "add_prefix_space", false);
  json_key_boolean(json, "trim_offsets", false);
  json_key_boolean(json, "use_regex", false);
  json_object_end(json);
}

static void put_null(struct json_writer *json, const char *key) {
  json_key(json, key);
  json_put_null(json);
}

// A byte pair encoding without pairs.
void bytes_tokenizer_text(int64_t end_token, struct text *out) {
  struct json_writer json = json_writer(out, true);
  json_object_begin(&json);
  json_key_string(&json, "version", "1.0");
  put_null(&json, "truncation");
  put_null(&json, "padding");
  json_key(&json, "added_tokens");
  json_array_begin(&json);
  json_object_begin(&json);
  json_key_integer(&json, "id", end_token);
  json_key_string(&json, "content", END_OF_TEXT);
  static const char *const no[] = {"single_word", "lstrip", "rstrip", "normalized"};
  for (size_t i = 0; i < sizeof no / sizeof no[0]; i++) json_key_boolean(&json, no[i], false);
  json_key_boolean(&json, "special", true);
  json_object_end(&json);
  json_array_end(&json);
  put_null(&json, "normalizer");
  put_byte_level(&json, "pre_tokenizer");
  put_null(&json, "post_processor");
  put_byte_level(&json, "decoder");
  json_key(&json, "model");
  json_object_begin(&json);
  json_key_string(&json, "type", "BPE");
  static const char *const absent[] = {"dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix"};
  for (size_t i = 0; i < sizeof absent / sizeof absent[0]; i++) put_null(&json, absent[i]);
  json_key_boolean(&json, "fuse_unk", false);
  json_key_boolean(&json, "byte_fallback", false);
  json_key(&json, "vocab");
  put_vocabulary(&json, end_token);
  json_key(&json, "merges");
  json_array_begin(&json);
  json_array_end(&json);
  json_object_end(&json);
  json_object_end(&json);
}

static bool write_bytes_tokenizer(int64_t end_token, const char *path, struct error *error) {
  struct text text = {0};
  bytes_tokenizer_text(end_token, &text);
  bool fine = write_text(&text, path, error);
  text_free(&text);
  return fine;
}

static bool write_tokenizer_config(const struct model *model, const char *end, const char *path, struct error *error) {
  struct text text = {0};
  struct json_writer json = json_writer(&text, true);
  json_object_begin(&json);
  json_key_string(&json, "tokenizer_class", "PreTrainedTokenizerFast");
  json_key_integer(&json, "model_max_length", model->config.model.context);
  json_key_boolean(&json, "clean_up_tokenization_spaces", false);
  json_key_string(&json, "eos_token", end);
  json_object_end(&json);
  bool fine = write_text(&text, path, error);
  text_free(&text);
  return fine;
}

bool tokenizer_files_write(const struct model *model, const struct tokenizer *tokenizer, const char *folder,
                           struct error *error) {
  struct arena arena = {0};
  bool fine = true;
  if (tokenizer->kind == TOKENIZER_BYTES)
    fine = write_bytes_tokenizer((int64_t)tokenizer->end_token, path_join(&arena, folder, "tokenizer.json"), error) &&
           write_tokenizer_config(model, END_OF_TEXT, path_join(&arena, folder, "tokenizer_config.json"), error);
  else if (tokenizer->kind == TOKENIZER_SENTENCEPIECE)
    fine = write_text(&tokenizer->model_bytes, path_join(&arena, folder, "tokenizer.model"), error);
  arena_free(&arena);
  return fine;
}
