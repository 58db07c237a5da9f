// Learning-rate schedules at both ends and in between, and the steps that evaluate and write checkpoints.
#include "tests/trainer/fixture.h"
#include "trainer/schedule.h"

static const double peak = 3e-3;

static struct run_config config_for(struct arena *arena, const char *schedule, int64_t steps, int64_t warmup) {
  char pairs[256];
  snprintf(pairs, sizeof pairs,
           "model.width=32 model.context=8 train.batch_tokens=8 train.lr=3e-3 train.schedule=%s train.steps=%lld "
           "train.warmup_steps=%lld train.final_lr_ratio=0.1 train.cooldown_fraction=0.2",
           schedule, (long long)steps, (long long)warmup);
  return fixture_config(arena, pairs);
}

static void warms_up(void) {
  struct arena arena = {0};
  const char *const names[] = {"cosine", "linear", "constant", "wsd"};
  for (size_t i = 0; i < 4; i++) {
    struct run_config c = config_for(&arena, names[i], 100, 10);
    CHECK_NEAR(schedule_learning_rate(&c, 100, 0), peak / 11, 1e-15);
    CHECK(schedule_learning_rate(&c, 100, 0) > 0);
    CHECK_NEAR(schedule_learning_rate(&c, 100, 4), peak * 5 / 11, 1e-15);
    CHECK(schedule_learning_rate(&c, 100, 9) < peak);
    CHECK(schedule_learning_rate(&c, 100, 10) == peak);  // the first update after warm-up
    struct run_config none = config_for(&arena, names[i], 100, 0);
    CHECK(schedule_learning_rate(&none, 100, 0) == peak);
  }
  arena_free(&arena);
}

static void cosine(void) {
  struct arena arena = {0};
  struct run_config c = config_for(&arena, "cosine", 101, 0);
  CHECK(schedule_learning_rate(&c, 101, 100) == peak * 0.1);
  CHECK_NEAR(schedule_learning_rate(&c, 101, 50), peak * 0.55, 1e-15);
  CHECK_NEAR(schedule_learning_rate(&c, 101, 25), peak * (0.1 + 0.9 * (1 + M_SQRT1_2) / 2), 1e-15);
  for (int64_t s = 1; s <= 100; s++) CHECK(schedule_learning_rate(&c, 101, s) < schedule_learning_rate(&c, 101, s - 1));
  arena_free(&arena);
}

static void linear(void) {
  struct arena arena = {0};
  struct run_config c = config_for(&arena, "linear", 111, 10);
  CHECK(schedule_learning_rate(&c, 111, 110) == peak * 0.1);
  CHECK_NEAR(schedule_learning_rate(&c, 111, 60), peak * 0.55, 1e-15);
  arena_free(&arena);
}

static void constant(void) {
  struct arena arena = {0};
  struct run_config c = config_for(&arena, "constant", 50, 5);
  CHECK(schedule_learning_rate(&c, 50, 49) == peak);
  arena_free(&arena);
}

static void wsd(void) {
  struct arena arena = {0};
  struct run_config c = config_for(&arena, "wsd", 100, 10);
  CHECK(schedule_learning_rate(&c, 100, 79) == peak);
  CHECK_NEAR(schedule_learning_rate(&c, 100, 80), peak * (1 - sqrt(1.0 / 21)), 1e-15);
  CHECK_NEAR(schedule_learning_rate(&c, 100, 84), peak * (1 - sqrt(5.0 / 21)), 1e-15);
  CHECK_NEAR(schedule_learning_rate(&c, 100, 99), peak * (1 - sqrt(20.0 / 21)), 1e-15);  // no update at 0
  arena_free(&arena);
}

static void stays_within_the_run(void) {
  struct arena arena = {0};
  struct run_config c = config_for(&arena, "cosine", 100, 10);
  CHECK(schedule_learning_rate(&c, 100, -5) == schedule_learning_rate(&c, 100, 0));
  CHECK(schedule_learning_rate(&c, 100, 1000) == peak * 0.1);
  struct run_config one = config_for(&arena, "cosine", 1, 0);
  CHECK(schedule_learning_rate(&one, 1, 0) == peak);
  struct run_config all = config_for(&arena, "cosine", 5, 5);  // warm-up as long as the run
  CHECK_NEAR(schedule_learning_rate(&all, 5, 3), peak * 4 / 5, 1e-15);
  CHECK_NEAR(schedule_learning_rate(&all, 5, 4), peak * 0.1, 1e-15);
  arena_free(&arena);
}

// Whatever the lengths: the first updates at the same rates, and not one more.
static void steady_steps(void) {
  struct arena arena = {0};
  static const char *const names[] = {"wsd", "constant"};
  for (int n = 0; n < 2; n++)
    for (int64_t warmup = 0; warmup < 30; warmup += 7)
      for (int64_t steps = warmup + 1; steps < 200; steps += 13) {
        struct run_config c = config_for(&arena, names[n], steps, warmup);
        int64_t steady = schedule_steady_steps(&c, steps), same = 0;
        while (same < steps && schedule_learning_rate(&c, steps, same) == schedule_learning_rate(&c, 5000, same))
          same++;
        if (same == steps) same--;                                  // the last one is each run's own
        CHECK(warmup <= steady ? steady == same : steady <= same);  // in warm-up a cooldown may show later
        CHECK(steady >= 0 && steady < steps);
      }
  struct run_config cut = config_for(&arena, "wsd", 10, 10), cosine = config_for(&arena, "cosine", 100, 10);
  CHECK(schedule_steady_steps(&cut, 10) == 0 && schedule_steady_steps(&cosine, 100) == 0);
  arena_free(&arena);
}

static void evaluations(void) {
  int64_t at[64];
  size_t count = schedule_evaluations(10000, 20, at);
  CHECK(count == 20 && at[0] == 100 && at[count - 1] < 10000);
  for (size_t i = 1; i < count; i++) {
    CHECK(at[i] > at[i - 1]);
    CHECK(fabs((double)at[i] / (double)at[i - 1] - pow(100, 1.0 / 20)) < 0.02);
  }
  CHECK(schedule_evaluations(10000, 0, at) == 0);
  CHECK(schedule_evaluations(1, 20, at) == 0);
  count = schedule_evaluations(7, 20, at);  // fewer steps than evaluations: each once, without the last
  CHECK(count == 6 && at[0] == 1 && at[5] == 6);
}

static void checkpoints(void) {
  struct arena arena = {0};
  struct run_config c = config_for(&arena, "cosine", 100, 0);
  CHECK(!schedule_checkpoint(&c, 100, 0) && !schedule_checkpoint(&c, 100, 99) && schedule_checkpoint(&c, 100, 100));
  c.train.checkpoint_steps = 30;
  CHECK(!schedule_checkpoint(&c, 100, 0) && schedule_checkpoint(&c, 100, 30) && schedule_checkpoint(&c, 100, 90));
  CHECK(!schedule_checkpoint(&c, 100, 31) && schedule_checkpoint(&c, 100, 100));
  arena_free(&arena);
}

int main(void) {
  RUN(warms_up);
  RUN(cosine);
  RUN(linear);
  RUN(constant);
  RUN(wsd);
  RUN(stays_within_the_run);
  RUN(steady_steps);
  RUN(evaluations);
  RUN(checkpoints);
  return check_end();
}
