// Evaluations of models on disk, outside of any run: see trainer_evaluate in trainer.h.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/terminal.h"
#include "trainer/data/tokenizer.h"
#include "trainer/model_folder.h"
#include "trainer/stages/evaluate_suites.h"
#include "trainer/stages/work.h"

// Puts another corpus in the place of the run's own, when its tokens mean the same.
static bool change_corpus(struct training *t, const char *folder, struct error *error) {
  struct corpus *own = corpus_open(t->file.corpus_path, t->file.corpus_digest, &t->file.config, error), *other = NULL;
  if (!own) return error_context(error, "the run's own corpus, whose tokenizer is compared");
  other = corpus_open(folder, NULL, NULL, error);
  const struct tokenizer *a = corpus_tokenizer(own), *b = other ? corpus_tokenizer(other) : NULL;
  bool fine = other != NULL;
  if (fine && !a)
    fine =
        error_set(error, EXIT_USAGE_ERROR, "the run was trained on a synthetic source: no other corpus has its tokens");
  else if (fine && (strcmp(a->digest, b->digest) != 0 || a->vocabulary != b->vocabulary))
    fine = error_set(error, EXIT_USAGE_ERROR,
                     "%s is of another tokenizer (%s of %" PRId64 ", digest %s) than the run's (%s of %" PRId64
                     ", %s): prepare its text with the run's",
                     folder, b->name, b->vocabulary, b->digest, a->name, a->vocabulary, a->digest);
  else if (fine && a->kind == TOKENIZER_NUMBERS)
    notice_print("isoloss-train",
                 "files of tokens do not name their tokenizer: that both have the same is taken on trust");
  if (fine) {
    t->file.corpus_path = arena_string(&t->arena, folder);
    t->file.config.corpus.suites_share = 0;  // its validation split has none anyway
    snprintf(t->file.corpus_digest, sizeof t->file.corpus_digest, "%s", corpus_digest(other));
  }
  corpus_close(own);
  corpus_close(other);
  return fine;
}

// ---- a folder of somebody else's ----

// The folder's model on this corpus. False with the reason: another tokenizer, a context that does not fit.
static bool take_folder(struct training *t, const struct evaluate_options *options, struct model_folder *folder,
                        struct saved_evaluation *result, struct error *error) {
  struct run_config config;
  struct corpus *corpus = corpus_open(options->corpus_folder, NULL, NULL, error);
  if (!corpus) return false;
  config_default(&config);
  config.model.dtype = "float32";
  config.model.context = options->context ? options->context : AUTO_INTEGER;
  bool fine = model_folder_read(options->weights, &t->arena, folder, error) &&
              model_folder_apply(folder, &config, error) && corpus_check_context(corpus, config.model.context, error);
  if (fine) {
    struct corpus_facts facts = corpus_facts(corpus, config.model.context);
    const char *why;
    enum tokenizer_match match = model_folder_tokenizer(folder, corpus_tokenizer(corpus), &t->arena, &why);
    result->tokenizer_same = match == TOKENIZER_SAME;
    snprintf(result->tokenizer, sizeof result->tokenizer, "%s", why);
    fine = config_resolve(&config, &facts, "float32", error);
    if (fine && match == TOKENIZER_OTHER)
      fine = error_set(error, EXIT_USAGE_ERROR, "%s has another tokenizer than the corpus: %s", folder->path, why);
    if (fine && match == TOKENIZER_UNKNOWN)
      notice_print("isoloss-train", "whether the tokens of %s are those of the corpus is not known: %s", folder->path,
                   why);
  }
  if (fine) {
    t->file.config = config;
    t->file.corpus_path = arena_string(&t->arena, options->corpus_folder);
    snprintf(t->file.corpus_digest, sizeof t->file.corpus_digest, "%s", corpus_digest(corpus));
  }
  corpus_close(corpus);
  return fine;
}

// ---- the whole ----

static bool open_model(struct training *t, const struct evaluate_options *options, struct saved_evaluation *result,
                       struct error *error) {
  struct model_folder folder;
  if (!options->config_path)
    return take_folder(t, options, &folder, result, error) && training_open_model(t, MODEL_EVALUATE, error) &&
           model_folder_load(&folder, t->model, error);
  return run_file_read(&t->arena, options->config_path, &t->file, error) &&
         (!options->corpus_folder || change_corpus(t, options->corpus_folder, error)) &&
         training_open_model(t, MODEL_EVALUATE, error) &&
         checkpoint_load_weights(t->model, options->weights, NULL, error);
}

static bool measure_suites(struct stage_work *work, const struct evaluate_options *options,
                           struct saved_evaluation *result, struct error *error) {
  struct run_config *c = &work->run.file.config;
  struct two_models one = {0};
  struct suite_results suites;
  c->evaluate.suite_tokens = options->suite_tokens;
  c->evaluate.suite_symbols = options->suite_symbols ? options->suite_symbols : c->corpus.suites_symbols;
  if (!options->suite_tokens) return true;
  bool fine =
      suite_fits(c->evaluate.suite_symbols, c->model.vocabulary, c->model.context, "evaluate.suite_symbols", error) &&
      two_models_make(&one, work->run.model, NULL, error) && suites_measure(work, &one, &suites, error);
  two_models_free(&one);
  for (int i = 0; i < SUITE_COUNT && fine; i++) {
    const struct suite_score *score = &suites.scores[0][i];
    result->suites[i] = (struct suite_evaluation){.name = suite_names[i],
                                                  .accuracy = suite_accuracy(score),
                                                  .standard_error = suite_standard_error(score),
                                                  .chance = suite_chance((enum suite)i, suites.symbols),
                                                  .answers = score->answers};
    result->suite_count++;
  }
  return fine;
}

bool trainer_evaluate(const struct evaluate_options *options, struct saved_evaluation *result, struct error *error) {
  struct stage_work work = {.run = {.log = {.file = -1}}};
  struct training *t = &work.run;
  bool stopped;
  *result = (struct saved_evaluation){0};
  bool fine = open_model(t, options, result, error);
  if (fine) {
    const struct run_config *c = &t->file.config;
    int64_t tokens = options->tokens ? options->tokens : c->train.final_eval_tokens;
    int64_t windows = evaluation_windows(t->corpus, tokens, c->model.context);
    fine = evaluation_run(t->model, t->corpus, windows, &t->batch, NULL, &stopped, &result->on_text, error) &&
           measure_suites(&work, options, result, error);
  }
  training_close(t);
  return fine;
}
