// What is behind struct corpus: one table of functions for each kind of source (prepared text, zipfmem, markov2,
// suites, text with suites in it, mixtures). Private to trainer/data.
#pragma once
#include "trainer/data/corpus.h"

enum corpus_split { SPLIT_TRAIN, SPLIT_VALIDATION };

struct corpus_ops {
  void (*close)(struct corpus *corpus);
  bool (*check_context)(const struct corpus *corpus, int64_t context, struct error *error);
  int64_t (*validation_windows)(const struct corpus *corpus, int64_t context);
  bool (*batch)(const struct corpus *corpus, const struct corpus_batch *request, int32_t *inputs, int32_t *targets,
                uint8_t *mask, struct error *error);
  bool (*validation)(const struct corpus *corpus, int64_t first_window, int64_t windows, int64_t context,
                     int32_t *inputs, int32_t *targets, uint8_t *mask, struct error *error);
  void (*facts)(const struct corpus *corpus, int64_t context, struct corpus_facts *facts);  // beyond the common ones
  bool (*decode)(const struct corpus *corpus, const int32_t *tokens, int64_t count, struct text *out,
                 struct error *error);
  // NULL where the source has none:
  double (*validation_bytes)(const struct corpus *corpus, int64_t first_window, int64_t windows, int64_t context);
  // Adds -ln p of window's unmasked targets, and their squares and number.
  void (*oracle)(const struct corpus *corpus, int64_t window, int64_t context, double *sum, double *squares,
                 int64_t *targets);
  int64_t (*epoch)(const struct corpus *corpus, int64_t step, int64_t batch_rows, int64_t context);
  bool (*check_targets)(const struct corpus *corpus, struct error *error);
  const struct tokenizer *(*tokenizer)(const struct corpus *corpus);
  bool (*verify)(const struct corpus *corpus, struct error *error);
  // Of a mixture; see corpus_part_count and what follows it.
  int (*part_count)(const struct corpus *corpus);
  struct corpus_part (*part)(const struct corpus *corpus, int part);
  int (*batch_part)(const struct corpus *corpus, const struct corpus_batch *request, int64_t row);
  int (*validation_part)(const struct corpus *corpus, int64_t window);
};

struct corpus {
  const struct corpus_ops *ops;
  char digest[40];
  int64_t vocabulary;
  bool has_mask;
  struct text manifest;
  void *state;  // the source's own
};

// Each opens its source: fills all but `manifest` of a zeroed corpus where noted. False on error.
bool prepared_open(struct corpus *corpus, const char *path, struct error *error);  // manifest too
bool zipfmem_open(struct corpus *corpus, const struct run_config *config, struct error *error);
bool markov2_open(struct corpus *corpus, const struct run_config *config, struct error *error);
bool suites_open(struct corpus *corpus, const struct run_config *config, struct error *error);
// Puts the share of suites that the configuration asks for into an open prepared corpus, which becomes part of it.
bool mixed_wrap(struct corpus *corpus, const struct run_config *config, struct error *error);
// Whether model.context and the source's fields fit each other.
bool zipfmem_check(const struct run_config *config, struct error *error);
bool markov2_check(const struct run_config *config, struct error *error);
bool suites_check(const struct run_config *config, struct error *error);

// Tokens as numbers with spaces between.
bool decode_numbers(const int32_t *tokens, int64_t count, struct text *out);
// Sets a synthetic source's digest: that of its manifest as written so far.
void synthetic_digest(struct corpus *corpus);
