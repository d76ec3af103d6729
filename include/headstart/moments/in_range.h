#pragma once
// Statistics of data in one range, for networks that saw the same data in another.

#include "headstart/moments/gaussian_stats.h"
#include "headstart/moments/mixture_stats.h"

namespace headstart {

/// The statistics of the same data after the map that takes their range to [low, high]: means are mapped, variances are multiplied by the
/// square of its slope, bases stay. `data_sha256` stays that of the data as they were read.
/// @throws InvalidArgument unless low < high
GaussianStats in_range(const GaussianStats& stats, double low, double high);
MixtureStats in_range(const MixtureStats& stats, double low, double high);

/// Whether a range is a convention for pictures: [-1, 1], [0, 1] or [-0.5, 0.5]. Other ranges were measured, and say nothing
/// about which values mean the same in other data.
bool is_picture_range(double low, double high);

}  // namespace headstart
