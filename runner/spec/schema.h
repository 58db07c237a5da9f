// What a spec may hold, for editors and for readers: both derive from the table of run fields.
#pragma once
#include "base/base.h"

// The JSON Schema (draft 2020-12) of a whole spec. `laws` are the names of the laws that ship.
void schema_json(struct text *out, const char *const *laws, size_t law_count);
// The reference page: every field, and every quantity that expressions may name.
void schema_markdown(struct text *out);
