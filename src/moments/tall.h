#pragma once
// Products of tall matrices in fixed pieces, each on one thread: results do not depend on the number of threads.

#include <torch/types.h>

#include <cstdint>
#include <functional>

namespace headstart {

/// Rows of a tall matrix that one thread works on: enough pieces for many cores, large enough for the matrix products to run at speed.
std::int64_t tall_block(std::int64_t rows);

/// block(begin, size) for all of [0, n), several at once, each on one thread; without gradients.
void for_blocks(std::int64_t n, std::int64_t size, const std::function<void(std::int64_t, std::int64_t)>& block);

/// The lower triangle's tiles of out += a^T b, in float64. Half the flops of a full product; fill_upper makes the other half.
/// @param out  [M, M] float64, a, b  [n, M] of any floating dtype, a^T b symmetric
/// @param meanwhile  anything else to do, at the same time on one of the threads
void add_gram(const torch::Tensor& out, const torch::Tensor& a, const torch::Tensor& b, const std::function<void()>& meanwhile = {});

/// Makes a square matrix symmetric from its lower triangle, in place.
void fill_upper(const torch::Tensor& square);

/// a <- a m in place. @param a  [D, L] float64, m  [L, L] float64
void multiply_in_place(const torch::Tensor& a, const torch::Tensor& m);

/// Turns each column so that its largest component is positive, in place: equal data give equal files.
void settle_signs(const torch::Tensor& basis);

}  // namespace headstart
