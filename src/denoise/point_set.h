#pragma once
// A data set as the empirical score reads it: centred, with each point's score for a query, and an upper bound of it that costs less.

#include <torch/types.h>

#include <cstdint>
#include <utility>
#include <vector>

namespace headstart {

/// B rows of a batch. The score of data point z for a query y is y . z - |z|^2 / 2 = (|y|^2 - |y - z|^2) / 2, both centred: the nearest
/// point has the largest, and ln of its weight is score / sigma^2 up to a constant of the row.
struct Queries {
  torch::Tensor x, y;            ///< [B or more, D] float32, as given and centred; rows beyond B are padding
  torch::Tensor features;        ///< [B or more, R/2 + 3] float32, for bounds; undefined where the set has none
  torch::Tensor details;         ///< [B or more, R/2 + 1] float32, for tighter ones
  std::vector<double> square;    ///< [B] |y|^2
  std::vector<double> variance;  ///< [B] sigma^2
  std::vector<double> best;      ///< [B] the largest score known of, of whatever point

  std::int64_t rows() const { return static_cast<std::int64_t>(square.size()); }
  std::int64_t padded_rows() const { return y.size(0); }
};

/// Data x_i = centre + z_i, [N, D] float32, in memory or in a mapped file: they are read where they are, a tile at a time.
///
/// With principal directions U [D, R] and Q = I - U U^T,
///   |y - z|^2 >= |U^T y - U^T z|^2 + (|Qy| - |Qz|)^2,   so   score <= U^T y . U^T z + |Qy| |Qz| - |z|^2 / 2,
/// which is a product of R + 2 features. There are two such bounds: one by the first half of the directions, for whole tiles, and a
/// tighter one by all of them, for single points. Memory: N (R + 5) float32 beside the data.
class PointSet {
 public:
  /// @param rank  R at most; none beyond D / 2, where the bounds would cost as much as the score
  /// @throws InvalidArgument unless data is [N, D] float32 with N, D > 0; NumericalError where a value is not finite
  /// Cost 2 N D R flops in float64.
  PointSet(torch::Tensor data, std::int64_t rank);

  std::int64_t count() const { return data_.size(0); }
  std::int64_t dim() const { return data_.size(1); }
  const torch::Tensor& centre() const { return centre_; }
  double largest_norm() const { return largest_norm_; }
  bool has_features() const { return features_.defined(); }

  /// Queries of x [B, D] (any floating dtype, rounded to float32) and sigma [B, 1]. Their best scores are those of one
  /// data point, the first.
  Queries queries(const torch::Tensor& x, const torch::Tensor& sigma) const;

  /// z of the points [begin, begin + n), into tile [n, D].
  void read(std::int64_t begin, const torch::Tensor& tile) const;
  /// |z|^2 / 2, [N].
  const float* half_squares() const { return half_squares_.data_ptr<float>(); }

  /// Scores from the distance itself: no cancellation. Score of point i for query row.
  double score(const Queries& q, std::int64_t row, std::int64_t i) const;
  /// out [D] += weight z_i
  void add_weighted(std::int64_t i, float weight, float* out) const;

  /// Upper bounds by half of the directions of the scores of points begin, begin + step, ... for queries' features [B, R/2 + 3], into out
  /// [B, n].
  void bounds(const torch::Tensor& features, std::int64_t begin, std::int64_t step, const torch::Tensor& out) const;
  /// The scores of points begin, begin + 1, ... if there were only the leading directions: shows the likely nearest point at a fraction of
  /// the cost.
  void guesses(const torch::Tensor& features, std::int64_t begin, const torch::Tensor& out) const;
  /// The bound by all directions, from that by half of them.
  double tighter(const Queries& q, std::int64_t row, std::int64_t i, double bound) const;

 private:
  /// What data points and, where that differs, queries are multiplied by:
  ///   features  -|leading part of U^T z|^2 / 2 (1),  first half of U^T z,  |Qz| for it,  -|z|^2 / 2 (1)
  ///   details   second half of U^T z,  |Qz| for all of it
  /// Guesses are products of the first columns of the features, bounds of all but the first. They are kept apart because reading them is
  /// much of the cost.
  std::pair<torch::Tensor, torch::Tensor> features_of(const torch::Tensor& z, const torch::Tensor& square, bool of_data) const;
  std::int64_t rank() const { return basis_.size(1); }
  std::int64_t half_rank() const { return (rank() + 1) / 2; }
  void find_directions(std::int64_t rank);
  void fill_tables();

  torch::Tensor data_, centre_;       // [N, D], [D] float32
  torch::Tensor basis_;               // [D, R] float64
  torch::Tensor half_squares_;        // [N] float32
  torch::Tensor features_, details_;  // [N, R/2 + 3], [N, R/2 + 1] float32
  double largest_norm_ = 0;
};

}  // namespace headstart
