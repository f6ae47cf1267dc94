// "%s: %d" % (a, b) and "{}: {x}".format(a, x=b).
#pragma once

#include "runtime/base/status.h"
#include "runtime/text/jinja/callable.h"
#include "runtime/text/jinja/run.h"
#include "runtime/text/jinja/value.h"

namespace dcc::jinja {

// `arguments`: a tuple, a dict for %(name)s, or the only argument. Errors: too many or too few
// arguments, one that the conversion is not for.
Result<Value> percentFormat(Run& run, const Value& format, const Value& arguments);

// Fields may be numbered or named, with attributes and items behind, and !r or !s. Error
// (unsupported): what stands behind a colon.
Result<Value> braceFormat(Run& run, const Value& format, const Arguments& arguments);

}  // namespace dcc::jinja
