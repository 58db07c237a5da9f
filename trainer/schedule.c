// See schedule.h.
#include "trainer/schedule.h"

#include <math.h>
#include <string.h>

static int64_t wsd_cooldown(const struct run_config *resolved, int64_t steps) {
  return llround(resolved->train.cooldown_fraction * (double)steps);
}

double schedule_learning_rate(const struct run_config *resolved, int64_t steps, int64_t step) {
  double peak = resolved->train.lr, ratio = resolved->train.final_lr_ratio;
  if (steps < 1) steps = 1;
  if (step < 0) step = 0;
  int64_t last = steps - 1;
  if (step > last) step = last;
  int64_t warmup = resolved->train.warmup_steps;
  if (warmup < 0) warmup = 0;
  if (warmup > last) warmup = last;

  double rate = peak;
  if (step < warmup) rate = peak * ((double)(step + 1) / (double)(warmup + 1));
  const char *name = resolved->train.schedule;
  if (strcmp(name, "wsd") == 0) {
    int64_t cooldown = wsd_cooldown(resolved, steps);
    int64_t k = step + 1 - (steps - cooldown);
    // Where warm-up and cooldown overlap the smaller rate holds.
    if (k > 0) rate = fmin(rate, peak * (1 - sqrt((double)k / (double)(cooldown + 1))));
    return rate;
  }
  if (step < warmup || strcmp(name, "constant") == 0) return rate;
  if (last == warmup) return last > 0 ? peak * ratio : peak;  // a run of one step trains at the peak
  double progress = (double)(step - warmup) / (double)(last - warmup);
  if (progress >= 1) return peak * ratio;
  double share = strcmp(name, "linear") == 0 ? 1 - progress : (1 + cos(M_PI * progress)) / 2;
  return peak * (ratio + (1 - ratio) * share);
}

int64_t schedule_steady_steps(const struct run_config *resolved, int64_t steps) {
  const char *name = resolved->train.schedule;
  if (resolved->train.warmup_steps > steps - 1) return 0;
  if (strcmp(name, "constant") == 0) return steps - 1;
  if (strcmp(name, "wsd") != 0) return 0;
  int64_t cooldown = wsd_cooldown(resolved, steps);
  return steps - (cooldown > 1 ? cooldown : 1);
}

size_t schedule_evaluations(int64_t steps, int64_t count, int64_t *out) {
  size_t found = 0;
  double first = fmax(1, (double)steps / 100), span = log((double)steps / first);
  for (int64_t i = 0; i < count; i++) {
    int64_t done = llround(first * exp(span * (double)i / (double)count));
    if (done < 1) done = 1;
    if (done >= steps) break;
    if (found == 0 || done > out[found - 1]) out[found++] = done;
  }
  return found;
}

bool schedule_checkpoint(const struct run_config *resolved, int64_t steps, int64_t done) {
  int64_t every = resolved->train.checkpoint_steps;
  return done >= steps || (every > 0 && done > 0 && done % every == 0);
}
