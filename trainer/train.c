// The training loop; see trainer.h.
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/terminal.h"
#include "trainer/average.h"
#include "trainer/schedule.h"
#include "trainer/stages/tune.h"
#include "trainer/stages/work.h"
#include "trainer/tasks/program.h"
#include "trainer/training.h"

enum verdict training_drain(struct training *t, struct error *error) {
  struct loss_sum sums[MODEL_LOSS_SLOTS];
  double square_sums[MODEL_LOSS_SLOTS];
  if (t->pending_count == 0) return GO_ON;
  if (!model_results(t->model, t->pending_count, sums, square_sums, error)) return FAILED;
  for (int i = 0; i < t->pending_count; i++) {
    t->last = t->pending[i];
    t->last_loss = sums[i].nats / (double)sums[i].targets;
    t->last_norm = sqrt(square_sums[i]);
    if (isfinite(t->last_loss) && isfinite(t->last_norm)) continue;
    const char *what = isfinite(t->last_loss) ? "the gradient's norm is not finite" : "the loss is not finite";
    return report_diverged(t, &t->last, t->last_norm, what, error) ? DIVERGED : FAILED;
  }
  t->pending_count = 0;
  return GO_ON;
}

bool training_step(struct training *t, struct error *error) {
  const struct run_config *c = &t->file.config;
  int64_t rows = c->train.batch_tokens / c->model.context, targets = c->train.batch_tokens;
  struct corpus_batch request = {
      .seed = tune_data_seed(c), .step = t->done.step, .batch_rows = rows, .rows = rows, .context = c->model.context};
  bool masked = corpus_has_mask(t->corpus);
  if (!corpus_batch(t->corpus, &request, t->batch.tokens, t->batch.targets, masked ? t->batch.mask : NULL, error))
    return error_context(error, "batch of step %" PRId64, t->done.step + 1);
  if (masked) {
    targets = 0;
    for (int64_t i = 0; i < c->train.batch_tokens; i++) targets += t->batch.mask[i] != 0;
    if (targets == 0)
      return error_set(error, EXIT_USAGE_ERROR,
                       "the batch of step %" PRId64 " has no unmasked target: make train.batch_tokens larger",
                       t->done.step + 1);
  }
  struct token_batch batch = {.rows = c->train.batch_tokens,
                              .tokens = t->batch.tokens,
                              .targets = t->batch.targets,
                              .mask = masked ? t->batch.mask : NULL};
  double lr = schedule_learning_rate(c, t->steps, t->done.step);
  struct metrics *metrics = NULL;
  if (metrics_are_due(t, t->done.step + 1) && !metrics_before(t, &batch, targets, &metrics, error)) return false;
  model_step(t->model, &batch, targets, lr, t->done.step, t->pending_count);
  t->done.step++;
  t->done.tokens += c->train.batch_tokens;
  t->done.targets += targets;
  t->pending[t->pending_count++] = (struct pending_step){t->done.step, t->done.tokens, t->done.targets, lr};
  return metrics_after(t, &batch, metrics, error);
}

// A format that begins later begins before this step.
static enum verdict begin_format(struct training *t, struct error *error) {
  if (t->done.step != t->model->format_begins) return GO_ON;
  enum verdict verdict = training_drain(t, error);
  return verdict != GO_ON || model_begin_format(t->model, error) ? verdict : FAILED;
}

// `stop` may be NULL: an evaluation between steps is finished before the run stops, so that its event is in the
// log.
static enum verdict evaluate(struct training *t, int64_t tokens, const volatile sig_atomic_t *stop,
                             struct evaluation *evaluation, struct error *error) {
  const struct run_config *c = &t->file.config;
  double before = training_seconds(t);
  int64_t windows = evaluation_windows(t->corpus, tokens, c->model.context);
  bool stopped;
  if (!evaluation_run(t->model, t->corpus, windows, &t->batch, stop, &stopped, evaluation, error)) return FAILED;
  if (stopped) return STOPPED;
  t->seconds_outside += training_seconds(t) - before;
  if (isfinite(evaluation->loss)) return GO_ON;
  struct pending_step now = {t->done.step, t->done.tokens, t->done.targets, 0};
  return report_diverged(t, &now, NAN, "the validation loss is not finite", error) ? DIVERGED : FAILED;
}

// The log is made durable first, so that it is never shorter than a checkpoint says.
static bool write_checkpoint(struct training *t, bool report, struct error *error) {
  double before = training_seconds(t);
  if (t->checkpointed == t->done.step) return true;
  t->done.log_size = t->log.size;
  t->done.seconds = before;
  t->done.train_seconds = training_train_seconds(t);
  if (!event_log_sync(&t->log, error) || !checkpoint_write(t->model, &t->done, t->run_folder, error)) return false;
  t->checkpointed = t->done.step;
  if (report && !report_checkpoint(t, error)) return false;
  if (!checkpoint_prune(t->run_folder, t->done.step, t->file.config.train.keep_checkpoints, t->branch_steps,
                        t->file.branch_count, error))
    return false;
  t->seconds_outside += training_seconds(t) - before;
  return true;
}

// Everything that may follow a step: results, events, evaluation, checkpoint.
static enum verdict after_step(struct training *t, size_t *next_evaluation, struct error *error) {
  const struct run_config *c = &t->file.config;
  int64_t done = t->done.step;
  bool log = done == 1 || done % c->train.log_steps == 0 || done == t->steps;
  bool scheduled = schedule_checkpoint(c, t->steps, done), checkpoint = scheduled || trunk_is_branch_step(t, done);
  while (*next_evaluation < t->evaluation_count && t->evaluations[*next_evaluation] < done) ++*next_evaluation;
  bool evaluation = *next_evaluation < t->evaluation_count && t->evaluations[*next_evaluation] == done;
  bool for_others = !evaluation && trunk_is_evaluation(t, done), averaged = average_takes(c, done);
  if (log || checkpoint || evaluation || for_others || averaged || t->pending_count == MODEL_LOSS_SLOTS) {
    enum verdict verdict = training_drain(t, error);
    if (verdict != GO_ON) return verdict;
  }
  if (log && (!report_step(t, error) || !report_exchange(t, error) || !report_moments(t, error))) return FAILED;
  if (evaluation) {
    struct evaluation result;
    enum verdict verdict = evaluate(t, c->train.eval_tokens, NULL, &result, error);
    if (verdict != GO_ON) return verdict;
    if (!report_evaluation(t, &result, error)) return FAILED;
  }
  if (for_others && !trunk_evaluate(t, error)) return FAILED;
  if (averaged && !average_take(t->model, done, error)) return FAILED;
  return !checkpoint || write_checkpoint(t, scheduled, error) ? GO_ON : FAILED;
}

static bool stop_asked(const struct training *t, const struct trainer_options *options) {
  return (options->stop_asked && *options->stop_asked) ||
         (options->stop_after > 0 && t->done.step >= options->stop_after);
}

// After a step, or in the final evaluation, whose checkpoint is written already.
static enum exit_code leave(struct training *t, struct error *error) {
  enum verdict verdict = training_drain(t, error);
  if (verdict == DIVERGED) return EXIT_DONE;
  if (verdict == GO_ON && (t->done.step == 0 || write_checkpoint(t, false, error)) && report_stopped(t, error))
    return EXIT_RUNS_FAILED;
  return error->code;
}

static enum exit_code train(struct training *t, const struct trainer_options *options, struct error *error) {
  size_t next_evaluation = 0;
  struct evaluation result;
  // From here on the run needs its trunk no more.
  if (t->trunk_step && !write_checkpoint(t, schedule_checkpoint(&t->file.config, t->steps, t->trunk_step), error))
    return error->code;
  while (t->done.step < t->steps) {
    if (stop_asked(t, options)) return leave(t, error);
    enum verdict verdict = begin_format(t, error);
    if (verdict == GO_ON) verdict = training_step(t, error) ? after_step(t, &next_evaluation, error) : FAILED;
    if (verdict != GO_ON) return verdict == DIVERGED ? EXIT_DONE : error->code;
  }
  enum verdict verdict = evaluate(t, t->file.config.train.final_eval_tokens, options->stop_asked, &result, error);
  if (verdict == STOPPED) return leave(t, error);
  if (verdict != GO_ON) return verdict == DIVERGED ? EXIT_DONE : error->code;
  return report_done(t, &result, error) && event_log_sync(&t->log, error) ? EXIT_DONE : error->code;
}

// A configuration that cannot be read is reported by whoever reads it next. *task: it is no language model's.
static bool is_no_training(const char *config_path, bool *task) {
  struct arena arena = {0};
  struct run_file file;
  struct error unread = {0};
  bool read = run_file_read(&arena, config_path, &file, &unread), staged = read && file.config.stage;
  *task = read && task_of(&file.config);
  const struct stage *stage = staged ? stage_find(file.config.stage) : NULL;
  arena_free(&arena);
  return staged && !(stage && stage->training && !stage->work);
}

enum exit_code trainer_run(const struct trainer_options *options, struct error *error) {
  struct training training;
  bool finished;
  enum exit_code code = EXIT_DONE;
  bool task, staged = is_no_training(options->config_path, &task);
  if (task) return task_main(options, error);
  if (staged) return stage_run(options, error);
  if (!training_open(&training, options->config_path, &finished, error))
    code = error->code;
  else if (finished)
    notice_print("isoloss-train", "%s is already finished: nothing to do", training.log.path);
  else
    code = train(&training, options, error);
  if (error->code != EXIT_DONE && training.log.file >= 0) {
    struct error ignored = {0};
    report_failed(&training, error, &ignored);
  }
  training_close(&training);
  return code;
}
