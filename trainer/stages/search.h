// The stage search: what each layer gets of a budget that holds exactly, found by holding whole models against the one
// before (EvoPress, arXiv 2410.14649; DarwinLM, arXiv 2502.07780), next to what is the same for all, to what is best
// where errors add up, and to trying all. See stage.h for what each function is; docs/search.md is the manual.
#pragma once
#include "trainer/stages/stage.h"

#define SEARCH_STAGE "search"

extern const char *const search_stage_needs[];
bool search_stage_skips(const struct run_config *config);
bool search_stage_resolve(struct run_config *config, const struct corpus_facts *facts, struct arena *arena,
                          struct error *error);
bool search_stage_becomes(struct run_config *config, struct arena *arena, struct error *error);
double search_stage_forward_tokens(const struct run_config *config, const struct corpus_facts *facts);
const char *search_stage_libraries(const struct run_config *config, struct arena *arena);
int64_t search_stage_steps(const struct run_config *config);
bool search_stage_resume(struct stage_work *work, int64_t *step, int64_t *log_size, double *seconds);
bool search_stage_work(struct stage_work *work, struct error *error);
