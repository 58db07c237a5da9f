// The public face of base/: small things every folder needs.
#pragma once
#include "base/arena.h"
#include "base/clock.h"
#include "base/diagnostics.h"
#include "base/document.h"
#include "base/error.h"
#include "base/expression.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/philox.h"
#include "base/text.h"
#include "base/threads.h"
