#pragma once
// What a report must hold to be shown.

#include "headstart/report/report.h"

namespace headstart {

/// Throws InvalidArgument unless the report can be shown; see render_report.
void validate(const Report& report);

}  // namespace headstart
