// A folder with a model that a chain may begin with: Hugging Face's files of a LlamaForCausalLM (config.json,
// model.safetensors, or shards with model.safetensors.index.json), among them a checkpoint and an export of isoloss.
#pragma once
#include "trainer/data/tokenizer.h"
#include "trainer/model.h"

struct model_folder {
  const char *path;  // absolute
  // The model's fields. Of a folder of isoloss all fields of its run, with what its format has still to do; else, how
  // it was trained is not known, and those fields that say so are auto.
  struct run_config config;
  bool of_run;           // a folder of isoloss
  int64_t step;          // optimizer steps done, at least 1; 1 where nothing says
  const char *digest;    // of config.json, of all weights, and of what else decides what the model computes
  const char **weights;  // paths of the safetensors files
  size_t weight_count;
};

// Reads a folder's description, checks it and the headers of its weights against what the trainer's model can be, and
// computes the digest (reads every byte). In the arena. False with the reason (EXIT_USAGE_ERROR): no such folder,
// another architecture, rotary scaling, biases, another activation, a sliding window, quantized weights, tensors that
// are missing, of another shape, or unknown.
bool model_folder_read(const char *path, struct arena *arena, struct model_folder *folder, struct error *error);
// Makes a configuration that of the model in the folder: all that the folder says comes from there; corpus, device,
// dtype, final_eval_tokens and, of a model that is not isoloss', context (auto: the longest) and seed stay. False with
// an error that is about from.path, or about the field that cannot be as given.
bool model_folder_apply(const struct model_folder *folder, struct run_config *config, struct error *error);
// Loads the weights, from float32, float16 or bfloat16, into a model of that configuration.
bool model_folder_load(const struct model_folder *folder, struct model *model, struct error *error);

// Whether the folder's tokens are those of a corpus' tokenizer (NULL: none that is known).
enum tokenizer_match {
  TOKENIZER_SAME,
  TOKENIZER_OTHER,
  TOKENIZER_UNKNOWN,  // the folder has none, or one of a kind that cannot be compared
};
// *why (in the arena) says in words what was compared.
enum tokenizer_match model_folder_tokenizer(const struct model_folder *folder, const struct tokenizer *tokenizer,
                                            struct arena *arena, const char **why);

// model_folder_weights.c: opens the files and checks the tensors against the configuration's model.
bool model_folder_check_weights(struct model_folder *folder, struct arena *arena, struct error *error);
