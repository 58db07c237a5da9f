// Mixtures: one corpus made of several sources with weights. Private to trainer/data but for what corpus.h shows.
#pragma once
#include "trainer/data/source.h"

// Of every so many windows each source has an exact number: shares are thousandths.
enum { MIXTURE_BLOCK = 1000 };

struct mixture_part {
  const char *name;    // as written: "gcide", "markov2:3", "notes.txt"
  const char *source;  // ... without a seed
  int64_t seed;        // of a synthetic source; AUTO_INTEGER: corpus.seed
  double weight;
  int share;  // thousandths of all windows
};
struct mixture_parts {
  struct mixture_part items[CORPUS_MOST_PARTS];
  int count;
};

// Reads "0.7 gcide + 0.3 kjv": parts of `[WEIGHT] SOURCE[:SEED]` between plus signs, a weight of 1 where none is given.
// Shares are the weights over their sum, rounded to thousandths so that they add up (largest remainders). Texts live in
// the arena. False with an error about corpus.mixture: no part, more than CORPUS_MOST_PARTS, one twice, a weight that
// is not positive or comes to less than a thousandth.
bool mixture_read(const char *text, struct arena *arena, struct mixture_parts *parts, struct error *error);
// The configuration of a corpus that is this part alone. A name that is no source's is that of one or several of
// corpus.files: a whole path or pattern, or what follows its last slash. Errors name corpus.mixture.
bool mixture_part_config(const struct run_config *config, const struct mixture_part *part, struct arena *arena,
                         struct run_config *own, struct error *error);
// Checks the mixture's fields without the disk: every part alone is fine, all are text with one tokenizer, or all are
// synthetic; every one of corpus.files is in a part.
bool mixture_check(const struct run_config *config, struct error *error);

// Whether a folder of the cache holds a mixture's description.
bool mixture_is_folder(const char *path);
// Opens the mixture of such a folder, whose parts lie next to it.
bool mixture_open_folder(struct corpus *corpus, const char *path, struct error *error);
// Opens a mixture of synthetic sources.
bool mixture_open_synthetic(struct corpus *corpus, const struct run_config *config, struct error *error);
// Finds the parts of a mixture of text and its folder. location->prepared: all of it is there.
bool mixture_find(const struct run_config *config, struct arena *arena, struct corpus_location *location,
                  struct error *error);
// Prepares what is not there.
bool mixture_prepare(const struct run_config *config, bool refresh, corpus_progress *progress, void *context,
                     struct arena *arena, struct corpus_location *location, struct error *error);
// corpus_verify_once of every part.
bool mixture_verify_once(const char *folder, struct error *error);
