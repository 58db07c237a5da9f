// trainer/config: the table of run fields, resolving, counting, identity.
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/check.h"
#include "trainer/config.h"

static struct arena arena;

static bool set(struct run_config *config, const char *path, const char *text) {
  struct error error = {0};
  const struct run_field *field = field_find(path, NULL);
  return field && config_set(config, field, text, &arena, &error);
}

static const char *refusal(const char *path, const char *text) {
  static struct error error;
  struct run_config config;
  config_default(&config);
  error = (struct error){0};
  const struct run_field *field = field_find(path, NULL);
  if (!field) return "no such field";
  config_set(&config, field, text, &arena, &error);
  return error.text;
}

static void every_default_is_a_legal_value_of_its_field(void) {
  struct run_config config;
  config_default(&config);
  for (size_t i = 0; i < run_field_count; i++) {
    const struct run_field *field = &run_fields[i];
    CHECK(set(&config, field->path, field->fallback));
    CHECK(config_is_default(&config, field));
    CHECK(*field->help && !ends_with(field->help, "."));
    CHECK((field->type == FIELD_CHOICE) == (field->choices != NULL));
    for (size_t j = 0; j < i; j++) CHECK(strcmp(run_fields[j].path, field->path) != 0);
  }
}

static void refusals_say_what_is_allowed(void) {
  CHECK_TEXT(refusal("model.width", "8"), "must be between 16 and 65536, not 8");
  CHECK_TEXT(refusal("model.width", "wide"), "must be a whole number, not 'wide'");
  CHECK_TEXT(refusal("train.lr", "nan"), "must be a number, not 'nan'");
  CHECK_TEXT(refusal("train.schedule", "cosin"),
             "must be one of cosine, wsd, linear, constant, not cosin; did you mean 'cosine'?");
  CHECK_TEXT(refusal("model.tied_head", "yes"), "must be true or false, not 'yes'; did you mean 'true'?");
  const char *near;
  CHECK(field_find("model.wdith", &near) == NULL);
  CHECK_TEXT(near, "model.width");
  struct run_config config;
  struct error error = {0};
  config_default(&config);
  CHECK(config_set_number(&config, field_find("model.width", NULL), 95.9999999999999, &error));
  CHECK(config.model.width == 96);
  CHECK(!config_set_number(&config, field_find("model.width", NULL), 64.0 / 3, &error));
}

// What is got from one configuration and put into another is the same there, auto and defaults included.
static void fields_go_in_and_out(void) {
  for (size_t i = 0; i < run_field_count; i++) {
    const struct run_field *field = &run_fields[i];
    struct run_config from, to;
    config_default(&from);
    for (int other = 0; other < 2; other++) {
      if (other && field->type == FIELD_BOOLEAN)
        CHECK(set(&from, field->path, strcmp(field->fallback, "true") == 0 ? "false" : "true"));
      else if (other && field->type <= FIELD_NUMBER)
        CHECK(config_set_number(&from, field, field->high, &(struct error){0}));
      else if (other && field->type >= FIELD_TEXT)
        CHECK(set(&from, field->path, "other"));
      memset(&to, 0, sizeof to);
      struct value value = field_get(&from, field);
      field_put(&to, field, value);
      CHECK(value_equal(field_get(&to, field), value));
      CHECK((value.kind == VALUE_MISSING) == (field->auto_allowed && !other));
      char number[32];
      CHECK(set(&to, field->path, field_text(field, value, number)) && value_equal(field_get(&to, field), value));
    }
  }
}

static void groups_and_effects(void) {
  size_t budget = 0, formats = 0;
  struct run_config config;
  struct error error = {0};
  config_default(&config);
  CHECK(config_set(&config, field_find("train.steps", NULL), "7", &arena, &error));
  for (size_t i = 0; i < run_field_count; i++) {
    const struct run_field *field = &run_fields[i];
    budget += (field->groups & GROUP_BUDGET) != 0;
    formats += (field->groups & GROUP_FORMAT) != 0;
    bool corpus = starts_with(field->path, "corpus.");
    CHECK(corpus == ((field->groups & GROUP_CORPUS) != 0));
    CHECK(!corpus || (field->effect == EFFECT_RESOLVED && field->groups & GROUP_PREPARED));
    CHECK(!field->counts_when || field->effect == EFFECT_COUNTS);
    if (field->effect != EFFECT_COUNTS) CHECK(!config_counts(&config, field));
  }
  CHECK(budget == 3 && formats == 5);  // a training's, a further one's, what compress brings weights to, and moments
  config_clear_budget(&config);
  CHECK(config.train.steps == AUTO_INTEGER && config_is_default(&config, field_find("train.steps", NULL)));
}

static struct run_config resolved(const char *const *pairs, const struct corpus_facts *facts, struct error *error) {
  struct run_config config;
  config_default(&config);
  for (; *pairs; pairs += 2) CHECK(set(&config, pairs[0], pairs[1]));
  config_resolve(&config, facts, "float32", error);
  return config;
}

// The sizes of the QuEST paper (arXiv 2502.05003), whose N counts blocks and norms: N = L(4d^2 + 3dh) + (2L+1)d.
static void parameters_match_published_sizes(void) {
  const struct {
    const char *layers, *width, *mlp;
    int64_t want;
  } sizes[] = {{"6", "640", "1792", 30482560},
               {"7", "768", "2048", 49556736},
               {"8", "1024", "2816", 102777856},
               {"20", "2560", "6912", 1586076160}};
  const struct corpus_facts none = {0};
  for (size_t i = 0; i < 4; i++) {
    struct error error = {0};
    const char *pairs[] = {"model.layers",    sizes[i].layers, "model.width", sizes[i].width,
                           "model.mlp_width", sizes[i].mlp,    NULL};
    struct run_config config = resolved(pairs, &none, &error);
    struct parameter_counts p = config_parameters(&config);
    CHECK(error.code == EXIT_DONE);
    CHECK(p.non_embedding == sizes[i].want);
    CHECK(p.total == p.non_embedding + 2 * 257 * config.model.width);
    CHECK(p.prunable + p.norms == p.non_embedding);
  }
}

static void autos_follow_the_rules(void) {
  struct error error = {0};
  struct corpus_facts facts = {.known = true, .vocabulary = 300, .train_tokens = 1000000};
  struct run_config c = resolved((const char *[]){"model.width", "96", "train.steps", "10", NULL}, &facts, &error);
  CHECK(error.code == EXIT_DONE);
  CHECK(c.model.head_dim == 32 && c.model.heads == 3 && c.model.kv_heads == 3);
  CHECK(c.model.mlp_width == 256 && c.model.vocabulary == 300);
  CHECK(c.train.tokens == 10 * 4096 && c.train.warmup_steps == 1);
  CHECK_TEXT(c.model.dtype, "float32");
  struct run_quantities q = config_quantities(&c, &facts);
  CHECK_NEAR(q.epochs, 0.04096, 1e-12);
  CHECK_NEAR(q.flops_6nd, 6.0 * (double)q.parameters.non_embedding * 40960, 1e-12);
  // By hand: linear layers, causal attention over 128.5 keys on average, and the head; forward and twice backward.
  double forward = 2.0 * 4 * (4 * 96 * 96 + 3 * 96 * 256) + 4.0 * 4 * 96 * 128.5 + 2.0 * 300 * 96;
  CHECK_NEAR(q.flops, 3 * forward * 40960, 1e-12);
  // The default budget is 20 tokens a parameter, in whole steps.
  c = resolved((const char *[]){"model.width", "64", NULL}, &facts, &error);
  CHECK(c.train.steps == 20 * config_parameters(&c).non_embedding / 4096);
}

// How a batch is cut changes neither what is counted nor how long a run is. Counted by hand: layers of a block, causal
// attention over (T + 1) / 2 keys, the vocabulary's matrix whoever owns it, forward and twice backward; a tied head has
// no parameters of its own.
static void micro_batches_change_no_count(void) {
  struct error error = {0};
  struct corpus_facts facts = {.known = true, .vocabulary = 311, .train_tokens = 1000000};
  static const char *const batches[] = {"768", "3072"}, *const accumulations[] = {"1", "2", "4", "8", "16"},
                           *const recomputes[] = {"none", "qkv", "block"};
  for (int tied = 0; tied < 2; tied++)
    for (int kv = 1; kv <= 4; kv *= 2)
      for (size_t b = 0; b < 2; b++)
        for (size_t a = 0; a < 5; a++) {
          char kv_heads[16];
          snprintf(kv_heads, sizeof kv_heads, "%d", kv);
          struct run_config c = resolved((const char *[]){"model.layers",
                                                          "3",
                                                          "model.width",
                                                          "64",
                                                          "model.head_dim",
                                                          "16",
                                                          "model.kv_heads",
                                                          kv_heads,
                                                          "model.context",
                                                          "48",
                                                          "model.tied_head",
                                                          tied ? "true" : "false",
                                                          "train.tokens",
                                                          "92160",
                                                          "train.batch_tokens",
                                                          batches[b],
                                                          "train.accumulation",
                                                          accumulations[a],
                                                          "train.recompute",
                                                          recomputes[a % 3],
                                                          NULL},
                                         &facts, &error);
          struct run_quantities q = config_quantities(&c, &facts);
          int64_t attention = 3 * (64 * 64 + 2 * 64 * 16 * kv + 64 * 64), mlp = 3 * 3 * 64 * 192, norms = 7 * 64;
          double forward = 2.0 * (double)(attention + mlp) + 4.0 * 3 * 64 * 24.5 + 2.0 * 311 * 64;
          if (!CHECK(error.code == EXIT_DONE)) printf("# %s\n", error.text);
          CHECK(q.parameters.non_embedding == attention + mlp + norms);
          CHECK(q.parameters.total == attention + mlp + norms + 311 * 64 * (tied ? 1 : 2));
          CHECK(q.tokens == 92160 && q.steps == 92160 / c.train.batch_tokens);
          CHECK(c.train.warmup_steps == q.steps / 10);
          CHECK_NEAR(q.flops, 3 * forward * 92160, 1e-12);
          CHECK_NEAR(q.flops_6nd, 6.0 * (double)(attention + mlp + norms) * 92160, 1e-12);
        }
}

// Masters in bfloat16 take products in bfloat16 along, and count in the id with how they are rounded; without them a
// run's id is what it always was.
static void master_weights(void) {
  struct error error = {0};
  struct corpus_facts facts = {.known = true, .vocabulary = 300, .train_tokens = 1000000};
  struct run_config c = resolved((const char *[]){"train.master_weights", "bfloat16", NULL}, &facts, &error);
  CHECK(error.code == EXIT_DONE);
  CHECK_TEXT(c.model.dtype, "bfloat16");
  struct run_config nearest = c, wide = c;
  nearest.train.optimizer_rounding = "nearest";
  CHECK(strcmp(config_identity(&c, "d", "train", "").hex, config_identity(&nearest, "d", "train", "").hex) != 0);
  wide.train.master_weights = "float32";
  struct text text = {0};
  config_canonical(&wide, &text);
  CHECK(!strstr(text_string(&text), "master_weights") && !strstr(text_string(&text), "optimizer_rounding"));
  text_free(&text);
  CHECK(strcmp(config_identity(&c, "d", "train", "").hex, config_identity(&wide, "d", "train", "").hex) != 0);
}

static void impossible_combinations_are_refused(void) {
  const struct corpus_facts none = {0};
  const char *cases[][7] = {
      {"model.width", "72", NULL},
      {"model.head_dim", "48", NULL},
      {"model.heads", "8", "model.kv_heads", "3", NULL},
      {"model.heads", "5", NULL},
      {"train.batch_tokens", "1000", NULL},
      {"train.tokens", "4095", NULL},
      {"train.tokens_per_parameter", "1e-3", NULL},
      {"train.accumulation", "3", NULL},
      {"train.tokens", "1000000", "train.steps", "3", NULL},
      {"train.steps", "10", "train.warmup_steps", "11", NULL},
      {"model.device", "gpu", NULL},
      {"model.dtype", "float32", "train.master_weights", "bfloat16", NULL},
      {"corpus.tokenizer", "uint16", NULL},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct error error = {0};
    resolved(cases[i], &none, &error);
    if (!CHECK(error.code == EXIT_USAGE_ERROR)) printf("# case %zu\n", i);
  }
}

// A whole number that no double holds is refused, not rounded to one that is another run.
static void whole_numbers_are_compared_as_such(void) {
  struct run_config config;
  const struct run_field *seed = field_find("seed", NULL);
  config_default(&config);
  struct error error = {0};
  CHECK(config_set(&config, seed, "9007199254740992", &arena, &error) && config.seed == 9007199254740992);
  static const char *const refused[] = {"9007199254740993", "9007199254740993.0", "9223372036854775807", "-1"};
  for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
    error = (struct error){0};
    CHECK(!config_set(&config, seed, refused[i], &arena, &error) && error.code == EXIT_USAGE_ERROR);
  }
  CHECK(config.seed == 9007199254740992);
}

// beta of 1 keeps the first moment at 0, an epsilon of 0 divides 0 by 0, weights of 0 stay there.
static void values_that_cannot_train_are_refused(void) {
  static const char *const cases[][2] = {
      {"train.beta1", "1"}, {"train.beta2", "1"}, {"train.adam_eps", "0"}, {"model.init_std", "0"}};
  struct run_config config;
  config_default(&config);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct error error = {0};
    CHECK(!config_set(&config, field_find(cases[i][0], NULL), cases[i][1], &arena, &error));
    CHECK(error.code == EXIT_USAGE_ERROR && strstr(error.text, "must be between"));
  }
}

// Runs of wsd are other runs than those whose last update had a rate of 0; the others keep their ids.
static void versions_follow_what_changed(void) {
  struct error error = {0};
  struct corpus_facts facts = {.known = true, .vocabulary = 300, .train_tokens = 1000000};
  struct run_config cosine = resolved((const char *[]){"train.steps", "10", NULL}, &facts, &error),
                    wsd =
                        resolved((const char *[]){"train.steps", "10", "train.schedule", "wsd", NULL}, &facts, &error);
  CHECK(config_version(&cosine) == TRAINER_SEMANTIC_VERSION);
  CHECK(config_version(&wsd) == TRAINER_SEMANTIC_VERSION + 100);
  // Formats whose scales or axes of tokens became a sequence's; others keep their ids.
  static const struct {
    const char *format;
    bool changed;
  } formats[] = {{"none", false},
                 {"w4a4", false},
                 {"w4", false},
                 {"mxfp4", false},
                 {"quest-mxfp4", false},
                 {"lsq-w4", false},
                 {"2:4+int4", false},
                 {"w(int8[absmax,tensor,no-hadamard])", false},
                 {"w(int4)a(fp8-e4m3[static(0.1),tensor,no-hadamard])", false},
                 {"g(mxfp4[no-hadamard])", false},
                 {"a(sparse(0.5))", false},
                 {"lsq-w4a4", true},
                 {"a(nvfp4)", true},
                 {"w(int4)a(fp8-e4m3[absmax,tensor,no-hadamard])", true},
                 {"w(int4)a(int4[rms,tensor,no-hadamard])", true},
                 {"a(int4[stochastic])", true},
                 {"g8", true},
                 {"quartet", true},
                 {"fp8-mixed", true},
                 {"halo2-int8", true}};
  for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
    struct run_config c =
        resolved((const char *[]){"train.steps", "10", "format", formats[i].format, NULL}, &facts, &error);
    if (!CHECK(config_version(&c) == TRAINER_SEMANTIC_VERSION + 1000 * formats[i].changed))
      printf("# %s: %s\n", formats[i].format, error.text);
  }
  // Intervals between prunings shrink where 20 of them would not fit.
  static const struct {
    const char *format, *steps;
    bool changed;
  } schedules[] = {{"sparse(0.8,journey)", "200", true},
                   {"sparse(0.8,journey)", "10000", false},
                   {"sparse(0.8,journey,every(1))", "200", false},
                   {"sparse(0.8,journey,every(4))", "200", false},
                   {"sparse(0.8)", "200", false},
                   {"random-sparse(0.5,cubic)", "200", true},
                   {"sparse(0.8,journey,every(10))", "200", true}};
  for (size_t i = 0; i < sizeof schedules / sizeof *schedules; i++) {
    struct run_config c = resolved(
        (const char *[]){"train.steps", schedules[i].steps, "format", schedules[i].format, NULL}, &facts, &error);
    if (!CHECK(config_version(&c) == TRAINER_SEMANTIC_VERSION + 10000 * schedules[i].changed))
      printf("# %s: %s\n", schedules[i].format, error.text);
  }
}

static void identity_counts_what_changes_the_result_only(void) {
  struct error error = {0};
  struct corpus_facts facts = {.known = true, .vocabulary = 257, .train_tokens = 1000000};
  struct run_config a = resolved((const char *[]){"train.steps", "10", NULL}, &facts, &error);
  struct digest base = config_identity(&a, "corpus", "train", "");
  // The same said otherwise: a default written out, tokens for steps, the device, the schedule's unused knob.
  const char *same[][7] = {{"train.steps", "10", "model.layers", "4", NULL},
                           {"train.tokens", "40960", NULL},
                           {"train.steps", "10", "model.device", "cpu", "train.threads", "2", NULL},
                           {"train.steps", "10", "train.cooldown_fraction", "0.5", NULL},
                           {"train.steps", "10", "train.warmup_steps", "1", NULL}};
  for (size_t i = 0; i < 5; i++) {
    struct run_config b = resolved(same[i], &facts, &error);
    CHECK_TEXT(config_identity(&b, "corpus", "train", "").hex, base.hex);
  }
  const char *other[][5] = {{"train.steps", "11", NULL},
                            {"train.steps", "10", "seed", "1", NULL},
                            {"train.steps", "10", "train.lr", "0.0030000001", NULL},
                            {"train.steps", "10", "format", "w4a4", NULL}};
  for (size_t i = 0; i < 4; i++) {
    struct run_config b = resolved(other[i], &facts, &error);
    CHECK(strcmp(config_identity(&b, "corpus", "train", "").hex, base.hex) != 0);
  }
  CHECK(strcmp(config_identity(&a, "corpus2", "train", "").hex, base.hex) != 0);
  CHECK(strcmp(config_identity(&a, "corpus", "evaluate", base.hex).hex, base.hex) != 0);
  CHECK(error.code == EXIT_DONE);
}

static void run_files_come_back_as_they_were(void) {
  struct error error = {0};
  struct corpus_facts facts = {.known = true, .vocabulary = 257, .train_tokens = 1000000};
  struct run_file file = {.corpus_path = "/a \"b\"/c"}, back;
  file.config = resolved((const char *[]){"train.steps", "7", "train.lr", "0.1", "corpus.files", "x.txt\ny*.txt", NULL},
                         &facts, &error);
  struct digest id = config_identity(&file.config, "d", "train", "");
  snprintf(file.id, sizeof file.id, "%s", id.hex);
  snprintf(file.corpus_digest, sizeof file.corpus_digest, "d");
  char path[] = "/tmp/isoloss-test-XXXXXX";
  int fd = mkstemp(path);
  CHECK(fd >= 0);
  close(fd);
  struct text text = {0};
  run_file_write(&file, &text);
  CHECK(file_write_atomic(path, text.bytes, text.length, &error));
  CHECK(run_file_read(&arena, path, &back, &error));
  CHECK_TEXT(back.corpus_path, file.corpus_path);
  CHECK_TEXT(config_identity(&back.config, "d", "train", "").hex, file.id);
  struct text again = {0};
  run_file_write(&back, &again);
  CHECK_TEXT(text_string(&again), text_string(&text));
  // Damaged files are refused with a place, never half read.
  for (size_t cut = 0; cut + 2 < text.length; cut += 97) {
    struct error refused = {0};
    CHECK(file_write_atomic(path, text.bytes, cut, &error));
    CHECK(!run_file_read(&arena, path, &back, &refused) && strstr(refused.text, path));
  }
  unlink(path);
  text_free(&text);
  text_free(&again);
}

// Each field of a training either changes how long a token takes, and is in the key of measured speeds, or is here, as
// are threads and batch_tokens, which that key holds anyway.
static void speeds_know_all_fields(void) {
  static const char *const alike[] = {
      "train.tokens",
      "train.steps",
      "train.tokens_per_parameter",
      "train.batch_tokens",
      "train.gradient_levels",
      "train.gradient_bucket",
      "train.lr",
      "train.schedule",
      "train.final_lr_ratio",
      "train.warmup_steps",
      "train.warmup_fraction",
      "train.cooldown_fraction",
      "train.average_checkpoints",
      "train.average_every",
      "train.beta1",
      "train.beta2",
      "train.adam_eps",
      "train.momentum",
      "train.momentum_form",
      "train.lr_scale",
      "train.rest_lr_ratio",
      "train.rank_score",
      "train.basis_memory",
      "train.damping",
      "train.row_beta2",
      "train.weight_decay",
      "train.clip_norm",
      "train.evals",
      "train.eval_tokens",
      "train.final_eval_tokens",
      "train.log_steps",
      "train.checkpoint_steps",
      "train.keep_checkpoints",
      "train.threads",
  };
  size_t without = 0;
  for (size_t i = 0; i < run_field_count; i++) {
    const struct run_field *field = &run_fields[i];
    if (!starts_with(field->path, "train.") && !starts_with(field->path, "metrics.")) continue;
    bool listed = false;
    for (size_t k = 0; k < sizeof alike / sizeof *alike; k++) listed |= strcmp(alike[k], field->path) == 0;
    without += listed;
    if (!CHECK(listed != ((field->groups & GROUP_SPEED) != 0)))
      printf("# does %s change how long a token takes? GROUP(SPEED) or this list says it\n", field->path);
  }
  CHECK(without == sizeof alike / sizeof *alike);
  struct run_config config;
  struct text settings = {0};
  config_default(&config);
  config_speed_settings(&config, &settings);
  CHECK_TEXT(text_string(&settings), "");
  config.train.recompute = "block";
  config.train.optimizer_rounding = "nearest";  // of types that nothing has
  config.train.rank = 8;                        // of another optimizer
  config.train.accumulation = 2;
  config_speed_settings(&config, &settings);
  CHECK_TEXT(text_string(&settings), "train.accumulation=2 train.recompute=block");
  text_free(&settings);
}

int main(void) {
  RUN(every_default_is_a_legal_value_of_its_field);
  RUN(refusals_say_what_is_allowed);
  RUN(fields_go_in_and_out);
  RUN(groups_and_effects);
  RUN(parameters_match_published_sizes);
  RUN(autos_follow_the_rules);
  RUN(micro_batches_change_no_count);
  RUN(master_weights);
  RUN(impossible_combinations_are_refused);
  RUN(whole_numbers_are_compared_as_such);
  RUN(values_that_cannot_train_are_refused);
  RUN(versions_follow_what_changed);
  RUN(identity_counts_what_changes_the_result_only);
  RUN(run_files_come_back_as_they_were);
  RUN(speeds_know_all_fields);
  arena_free(&arena);
  return check_end();
}
