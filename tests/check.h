// A test program is a list of functions that CHECK things. Output is TAP, so that meson counts every case:
//
//   static void adds(void) { CHECK(1 + 1 == 2); CHECK_NEAR(0.1 + 0.2, 0.3, 1e-12); }
//   int main(int argc, char **argv) { RUN(adds); return check_end(); }
//
// A case goes on after a failed check (every failure is printed with file, line and values).
#pragma once
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static int check_cases, check_failed_cases, check_failures;

static inline void check_fail(const char *file, int line, const char *what) {
  check_failures++;
  printf("# %s:%d: %s\n", file, line, what);
}
static inline bool check_near(double got, double want, double tolerance, const char *file, int line, const char *what) {
  // Relative where |want| is above 1, absolute below.
  double scale = fabs(want) > 1 ? fabs(want) : 1;
  if (fabs(got - want) <= tolerance * scale || got == want) return true;
  check_failures++;
  printf("# %s:%d: %s: got %.17g, want %.17g (off by %.3g, allowed %.3g)\n", file, line, what, got, want,
         fabs(got - want) / scale, tolerance);
  return false;
}
static inline bool check_text(const char *got, const char *want, const char *file, int line, const char *what) {
  if (got && want && strcmp(got, want) == 0) return true;
  check_failures++;
  printf("# %s:%d: %s:\n#   got  \"%s\"\n#   want \"%s\"\n", file, line, what, got ? got : "(null)",
         want ? want : "(null)");
  return false;
}
static inline void check_run(void (*test)(void), const char *name) {
  int before = check_failures;
  test();
  check_cases++;
  bool fine = check_failures == before;
  if (!fine) check_failed_cases++;
  printf("%sok %d - %s\n", fine ? "" : "not ", check_cases, name);
  fflush(stdout);
}
static inline void check_skip(const char *name, const char *why) {
  check_cases++;
  printf("ok %d - %s # SKIP %s\n", check_cases, name, why);
}
static inline int check_end(void) {
  printf("1..%d\n", check_cases);
  return check_failed_cases ? 1 : 0;
}

#define CHECK(condition) ((condition) ? true : (check_fail(__FILE__, __LINE__, #condition), false))
#define CHECK_NEAR(got, want, tolerance) check_near((got), (want), (tolerance), __FILE__, __LINE__, #got)
#define CHECK_TEXT(got, want) check_text((got), (want), __FILE__, __LINE__, #got)
#define RUN(test) check_run(test, #test)
