// Draft trees on a language model's own predictions: a training of the trainer's own, or a checkpoint, texts that the
// model writes, and trees that grow from their ends, all texts' at once. See work.h.
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/philox.h"
#include "trainer/evaluation.h"
#include "trainer/model_folder.h"
#include "trainer/stages/evaluate_rows.h"
#include "trainer/tasks/speculative/work.h"
#include "trainer/training.h"

enum { STREAM_WRITING = 45, VALIDATION_TOKENS = 65536, FREE_SYMBOLS = 2 };

struct predictions {
  struct training *t;
  struct two_models one;  // the model alone
  int64_t vocabulary, context, written;
  int64_t at_once;   // texts
  int32_t *texts;    // [trees, written]
  int32_t *windows;  // [at_once, context]: what the model reads
  double *p;         // [vocabulary]
};

// ---- training ----

// Losses of the steps that wait on the device; false with an error, or where the run has diverged.
static bool drain(struct task_run *run, struct training *t, double *loss, struct error *error) {
  struct loss_sum sums[MODEL_LOSS_SLOTS];
  int count = t->pending_count;
  t->pending_count = 0;
  if (!model_results(t->model, count, sums, NULL, error)) return false;
  for (int i = 0; i < count; i++) {
    *loss = sums[i].nats / (double)sums[i].targets;
    if (!isfinite(*loss)) return task_diverge(run, "the loss is not finite");
  }
  return true;
}

static bool train(struct task_run *run, struct training *t, struct error *error) {
  int64_t every = t->steps >= 40 ? t->steps / 40 : 1;
  double loss = NAN;
  model_initialise(t->model, run->seed);
  while (t->done.step < t->steps) {
    if (task_stopped(run) || !training_step(t, error)) return false;
    bool shown = t->done.step % every == 0 || t->done.step == t->steps;
    if ((shown || t->pending_count == MODEL_LOSS_SLOTS) && !drain(run, t, &loss, error)) return false;
    if (shown && !task_point(run, t->done.step, (double)t->done.tokens, loss, error)) return false;
  }
  struct evaluation evaluation;
  bool stopped;
  int64_t windows = evaluation_windows(t->corpus, VALIDATION_TOKENS, t->file.config.model.context);
  if (!evaluation_run(t->model, t->corpus, windows, &t->batch, run->stop_asked, &stopped, &evaluation, error) ||
      stopped)
    return false;
  run->loss = evaluation.loss;
  return isfinite(run->loss) || task_diverge(run, "the validation loss is not finite");
}

// ---- a checkpoint ----

static bool load(struct task_run *run, struct training *t, struct error *error) {
  const struct speculative *s = run->settings;
  struct run_config *c = &t->file.config;
  struct model_folder folder;
  config_default(c);
  c->model.dtype = "float32";
  c->model.device = "cpu";
  c->model.context = AUTO_INTEGER;
  c->train.threads = run->threads;
  if (!model_folder_read(s->checkpoint, &t->arena, &folder, error)) return false;
  if (strcmp(folder.digest, s->digest) != 0)
    return error_set(error, EXIT_USAGE_ERROR,
                     "%s holds another model than when the run was planned (digest %.8s, then %.8s): isoloss run SPEC "
                     "plans it anew",
                     folder.path, folder.digest, s->digest);
  if (!model_folder_apply(&folder, c, error)) return false;
  if (c->model.context > s->context) c->model.context = s->context;
  c->parsed_format = NULL;
  return trainer_device_open(c->model.device, c->train.threads, &t->ops, &t->device, error) &&
         (t->model = model_create(t->ops, t->device, c, MODEL_EVALUATE, error)) &&
         model_take_phase(t->model, folder.step, error) && model_folder_load(&folder, t->model, error);
}

// ---- predictions ----

// The law of what follows the first `length` tokens of window `w` of the last pass.
static bool law_of(struct predictions *m, int64_t w, int64_t length, struct error *error) {
  if (!two_models_logits(&m->one, 0, w * m->context + length - 1, 1, error)) return false;
  const float *logits = m->one.logits[0];
  double largest = logits[likeliest(logits, m->vocabulary)], sum = 0;
  for (int64_t v = 0; v < m->vocabulary; v++) sum += m->p[v] = exp(logits[v] - largest);
  for (int64_t v = 0; v < m->vocabulary; v++) m->p[v] /= sum;
  return true;
}

static int32_t drawn(const struct predictions *m, double u) {
  int64_t v = 0;
  for (; v + 1 < m->vocabulary && u >= m->p[v]; v++) u -= m->p[v];
  return (int32_t)v;
}

// Texts that the model writes after two random tokens (which of markov2 are free), each further token drawn from its
// law; `moments` gets these.
static bool write_texts(struct task_run *run, struct predictions *m, struct law_moments *moments, struct error *error) {
  const struct speculative *s = run->settings;
  for (int64_t first = 0; first < s->trees; first += m->at_once) {
    int64_t count = s->trees - first < m->at_once ? s->trees - first : m->at_once;
    memset(m->windows, 0, (size_t)(m->at_once * m->context) * sizeof *m->windows);
    for (int64_t i = 0; i < m->written; i++) {
      if (task_stopped(run)) return false;
      if (i >= FREE_SYMBOLS && !two_models_forward(&m->one, count * m->context, m->windows, error)) return false;
      for (int64_t w = 0; w < count; w++) {
        double u = random_uniform(run->seed, STREAM_WRITING, (uint64_t)(first + w), (uint64_t)i);
        int32_t token = (int32_t)(u * (double)m->vocabulary);
        if (i >= FREE_SYMBOLS) {
          if (!law_of(m, w, i, error)) return false;
          law_add(moments, m->p, m->vocabulary);
          token = drawn(m, u);
        }
        m->windows[w * m->context + i] = m->texts[(first + w) * m->written + i] = token;
      }
    }
  }
  law_means(moments);
  return true;
}

// Text and path of the newest node, their last `context` tokens, into window `w`; returns how many.
static int64_t fill_window(const struct predictions *m, const struct draft_tree *tree, const int32_t *text, int64_t w) {
  int32_t *window = m->windows + w * m->context;
  int64_t path = draft_tree_path(tree, tree->count, m->context, window);
  int64_t before = m->context - path < m->written ? m->context - path : m->written;
  memmove(window + before, window, (size_t)path * sizeof *window);
  memcpy(window, text + m->written - before, (size_t)before * sizeof *window);
  memset(window + before + path, 0, (size_t)(m->context - before - path) * sizeof *window);
  return before + path;
}

static bool grow_trees(struct task_run *run, struct predictions *m, struct accepted *accepted, struct error *error) {
  const struct speculative *s = run->settings;
  struct draft_tree *trees = arena_array(&run->arena, (size_t)m->at_once, sizeof *trees);
  int64_t *lengths = arena_array(&run->arena, (size_t)m->at_once, sizeof *lengths);
  for (int64_t w = 0; w < m->at_once; w++) trees[w] = draft_tree_make(s->nodes, m->vocabulary, &run->arena);
  for (int64_t first = 0; first < s->trees; first += m->at_once) {
    int64_t count = s->trees - first < m->at_once ? s->trees - first : m->at_once;
    for (int64_t w = 0; w < count; w++) draft_tree_begin(&trees[w]);
    for (int64_t n = 0; n < s->nodes; n++) {
      if (task_stopped(run)) return false;
      for (int64_t w = 0; w < count; w++)
        lengths[w] = fill_window(m, &trees[w], m->texts + (first + w) * m->written, w);
      if (!two_models_forward(&m->one, count * m->context, m->windows, error)) return false;
      for (int64_t w = 0; w < count; w++) {
        if (!law_of(m, w, lengths[w], error)) return false;
        draft_tree_law(&trees[w], m->p);
        draft_tree_grow(&trees[w]);
        accepted_see(accepted, s, &trees[w]);
      }
    }
  }
  return true;
}

static bool measure(struct task_run *run, struct training *t, struct law_moments *moments, struct accepted *accepted,
                    struct error *error) {
  const struct speculative *s = run->settings;
  const struct run_config *c = &t->file.config;
  int64_t rows = t->model->rows < t->model->evaluation_rows ? t->model->rows : t->model->evaluation_rows;
  struct predictions m = {.t = t,
                          .vocabulary = c->model.vocabulary,
                          .context = c->model.context,
                          .written = c->model.context / 2,
                          .at_once = rows / c->model.context};
  int64_t candidates = (s->nodes + 1) * m.vocabulary, trees = SPECULATIVE_CANDIDATES / candidates;
  if (trees < 1)
    return error_set(error, EXIT_USAGE_ERROR,
                     "speculative.nodes %" PRId64 " of %" PRId64
                     " tokens each are more candidates than the %d that fit",
                     s->nodes, m.vocabulary, SPECULATIVE_CANDIDATES);
  if (m.written <= FREE_SYMBOLS)
    return error_set(error, EXIT_USAGE_ERROR, "a context of %" PRId64 " leaves no room for a text", m.context);
  if (m.at_once > trees) m.at_once = trees;
  if (m.at_once > s->trees) m.at_once = s->trees;
  m.texts = arena_array(&run->arena, (size_t)(s->trees * m.written), sizeof *m.texts);
  m.windows = arena_array(&run->arena, (size_t)(m.at_once * m.context), sizeof *m.windows);
  m.p = arena_array(&run->arena, (size_t)c->model.vocabulary, sizeof *m.p);
  bool fine = two_models_make(&m.one, t->model, NULL, error) && write_texts(run, &m, moments, error) &&
              grow_trees(run, &m, accepted, error);
  two_models_free(&m.one);
  return fine;
}

bool speculative_on_model(struct task_run *run, struct law_moments *moments, struct accepted *accepted,
                          struct error *error) {
  const struct speculative *s = run->settings;
  struct training t = {.log = {.file = -1}, .oracle_loss = NAN, .file = {.corpus_path = ""}};
  struct corpus_location corpus;
  if (strcmp(s->source, "checkpoint") == 0) {
    bool fine = load(run, &t, error) && measure(run, &t, moments, accepted, error);
    training_close(&t);
    return fine;
  }
  bool fine = speculative_model(s, (int64_t)run->seed, run->threads, &t.file.config, error) &&
              corpus_find(&t.file.config, &run->arena, &corpus, error);
  t.steps = s->steps;
  if (fine) memcpy(t.file.corpus_digest, corpus.digest, sizeof t.file.corpus_digest);
  fine = fine && training_open_model(&t, MODEL_TRAIN, error) && train(run, &t, error) &&
         measure(run, &t, moments, accepted, error);
  training_close(&t);
  return fine;
}
