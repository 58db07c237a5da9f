// The public face of trainer/data: what a run reads. A corpus is either prepared (a folder of memory-mapped token
// files in the cache, made from text by corpus_prepare) or synthetic (generated on the fly, with exactly known loss);
// behind this face they are the same.
//
//   plan      corpus_check -> corpus_find -> corpus_prepare when it was not there -> config_resolve(facts)
//   train     corpus_open -> corpus_batch per (micro-)batch, corpus_validation per evaluation -> corpus_close
//
// A window is `context` inputs and, shifted by one, `context` targets. Text: the split's documents, each followed by
// the tokenizer's end token, stand one after the other in the order of their hashes; an epoch is a pseudo-random
// permutation of the windows, keyed by (seed, epoch), with the cut between windows moved each epoch. Nothing is drawn
// twice within an epoch, so epochs = tokens seen / facts.train_tokens. Synthetic sources never repeat: a window is a
// record of its own.
//
// An open corpus is read-only: any number of threads may call on it at once.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/base.h"
#include "trainer/config.h"

struct corpus;
struct tokenizer;

// ---- Finding and preparing ----

// What `config` asks for, with corpus.files taken into account.
enum corpus_kind { CORPUS_NAMED, CORPUS_FILES, CORPUS_ZIPFMEM, CORPUS_MARKOV2, CORPUS_SUITES, CORPUS_MIXTURE };

// What corpus.source and corpus.tokenizer can be, but for the path of a .model file; NULL ends them.
extern const char *const corpus_sources[], *const corpus_tokenizers[];
enum { CORPUS_SOURCE_COUNT = 9 };  // of the former

// Checks the corpus fields of a configuration and that model.context fits the source (zipfmem: exactly the digits of an
// id; markov2: at least 2; suites: a record) without touching the disk. EXIT_USAGE_ERROR with the field's path in the
// message. `kind` may be NULL.
bool corpus_check(const struct run_config *config, enum corpus_kind *kind, struct error *error);

struct corpus_location {
  char *path;       // folder of the prepared corpus ("" for synthetic sources), owned by the arena given
  char digest[40];  // for run identity
  bool prepared;    // false: corpus_prepare has work to do; path and digest are then empty
};

// Is it prepared already? Reads a few small files at most, builds nothing. False only on an error (a bad field, files
// that are missing); not prepared is no error.
bool corpus_find(const struct run_config *config, struct arena *arena, struct corpus_location *location,
                 struct error *error);

// Called from time to time during a preparation: what is being done, and the done share in [0, 1] or -1 when unknown.
typedef void corpus_progress(void *context, const char *what, double share);

// Finds the corpus or builds it (downloads, tokenizer training, tokens) under $XDG_CACHE_HOME/isoloss. Safe against a
// second process (it waits) and against being killed (nothing half-made is ever found). `refresh` builds anew, also
// from the packages. Errors: EXIT_USAGE_ERROR for the user's files and fields, EXIT_ENVIRONMENT for network, disk and
// missing programs, saying what to do. `progress` may be NULL.
bool corpus_prepare(const struct run_config *config, bool refresh, corpus_progress *progress, void *context,
                    struct arena *arena, struct corpus_location *location, struct error *error);

// Whether this build can prepare it: a vocabulary of sentencepiece takes the library. False with an error
// (EXIT_ENVIRONMENT).
bool corpus_preparable(const struct run_config *config, struct error *error);
// What a plan must know: corpus_find, and corpus_facts when it is prepared (known = false otherwise). `location` may be
// NULL. config->model.context and the corpus fields are read; nothing needs to be resolved.
// The same, and an error when the corpus is prepared and no run with this context can train on it: too small for a
// window, on either side, or a mask without targets.
bool corpus_facts_usable(const struct run_config *config, struct corpus_facts *facts, struct corpus_location *location,
                         struct arena *arena, struct error *error);
bool corpus_facts_find(const struct run_config *config, struct corpus_facts *facts, struct corpus_location *location,
                       struct arena *arena, struct error *error);

// ---- Reading ----

// Opens a prepared corpus by its folder, or (path "" or NULL) the synthetic source that `config` describes. `digest`
// may be NULL; otherwise the corpus must have it. `config` may be NULL when there is a path; one whose
// corpus.suites_share is not 0 puts suites into the prepared text, which makes another corpus of it. NULL on error:
// missing, damaged (truncated, wrong version, bad checksum), another digest. Closed by corpus_close.
struct corpus *corpus_open(const char *path, const char *digest, const struct run_config *config, struct error *error);
void corpus_close(struct corpus *corpus);  // NULL is fine

const char *corpus_digest(const struct corpus *corpus);
int64_t corpus_vocabulary(const struct corpus *corpus);  // number of token ids
// What the tokens were made with; NULL for a synthetic source. The corpus'.
const struct tokenizer *corpus_tokenizer(const struct corpus *corpus);
bool corpus_has_mask(const struct corpus *corpus);  // some targets do not count towards the loss
// All of struct corpus_facts for windows of `context` tokens.
struct corpus_facts corpus_facts(const struct corpus *corpus, int64_t context);
// False with a message when windows of `context` tokens cannot be cut (text shorter than one window, a zipfmem record
// of another length).
bool corpus_check_context(const struct corpus *corpus, int64_t context, struct error *error);
// False with a message when a mask leaves a split without any target.
bool corpus_check_targets(const struct corpus *corpus, struct error *error);
// `wanted`, or the nearest shorter context that fits the corpus.
int64_t corpus_nearest_context(const struct corpus *corpus, int64_t wanted);

// Rows [first_row, first_row + rows) of the batch of one optimizer step.
struct corpus_batch {
  uint64_t seed;       // of the run: the order of the data
  int64_t step;        // from 0
  int64_t batch_rows;  // windows of the whole step: batch_tokens / context
  int64_t first_row, rows;
  int64_t context;
};

// Fills inputs and targets, [rows, context] each, row-major. `mask` gets 1 where the target counts, else 0; it may be
// NULL (then it is not filled; a source without masks fills it with 1). A function of the request alone: any step, and
// any range of its rows, gives the same tokens in any order of calls. Errors: context does not fit; a token outside the
// vocabulary (a damaged file).
bool corpus_batch(const struct corpus *corpus, const struct corpus_batch *request, int32_t *inputs, int32_t *targets,
                  uint8_t *mask, struct error *error);

// Windows of the validation split, in a fixed order in which any first part is a fair sample of the whole: the same for
// every run with this corpus and context.
int64_t corpus_validation_windows(const struct corpus *corpus, int64_t context);
// Fills windows [first_window, first_window + windows), as corpus_batch does.
bool corpus_validation(const struct corpus *corpus, int64_t first_window, int64_t windows, int64_t context,
                       int32_t *inputs, int32_t *targets, uint8_t *mask, struct error *error);

// Bytes of text that the unmasked targets of these validation windows stand for (an end token stands for none), for
// bits per byte = nats / (ln 2 * bytes). NAN when the source has no bytes (synthetic, files of tokens).
double corpus_validation_bytes(const struct corpus *corpus, int64_t first_window, int64_t windows, int64_t context);

// The loss that a model which knows the source would have on these very validation targets; excess loss = loss - oracle
// is a paired difference and far less noisy than loss - E.
struct corpus_oracle {
  double loss;            // mean nats per unmasked target
  double standard_error;  // of that mean, as an estimate of E
  int64_t targets;        // unmasked
};
// False (and *oracle all NAN) when the source cannot say: every text.
bool corpus_oracle(const struct corpus *corpus, int64_t first_window, int64_t windows, int64_t context,
                   struct corpus_oracle *oracle);

// ---- Parts of a mixture ----

enum { CORPUS_MOST_PARTS = 8 };
struct corpus_part {
  const char *name;  // as corpus.mixture has it; the corpus'
  double share;      // of all windows
};
// Sources that the corpus is a mixture of (corpus.mixture); 0: it is none.
int corpus_part_count(const struct corpus *corpus);
struct corpus_part corpus_part(const struct corpus *corpus, int part);
// Appends "gcide 70 %, kjv 30 %" of a configuration with a mixture.
void corpus_mixture_shares(const struct run_config *config, struct text *out);
// The part that a row of a batch is of, counted from request->first_row; 0 of what is no mixture.
int corpus_batch_part(const struct corpus *corpus, const struct corpus_batch *request, int64_t row);
// The part that a validation window is of.
int corpus_validation_part(const struct corpus *corpus, int64_t window);

// ---- Looking ----

// Which epoch (from 0) the first row of a step belongs to.
int64_t corpus_epoch(const struct corpus *corpus, int64_t step, int64_t batch_rows, int64_t context);
// Text of `count` tokens appended to `out`: the bytes themselves for text corpora (end tokens as "\n\n"), the numbers
// for token files and synthetic sources.
bool corpus_decode(const struct corpus *corpus, const int32_t *tokens, int64_t count, struct text *out,
                   struct error *error);
// How the validation text begins: at most so many lines of it, appended to `out`.
bool corpus_sample(const struct corpus *corpus, int64_t lines, struct text *out, struct error *error);
// The manifest as stored (JSON text; for a synthetic source a description of it), owned by the corpus.
const char *corpus_manifest(const struct corpus *corpus);
// Reads every byte and compares with the checksums. False with what is wrong.
bool corpus_verify(const struct corpus *corpus, struct error *error);
// The same of a prepared corpus' folder (of that digest; NULL: whichever it has), unless its files are those that
// passed before: by device, inode, size and times, which FOLDER/verified remembers.
bool corpus_verify_once(const char *folder, const char *digest, struct error *error);
