/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BENCHMARKS_PEER_DMA_H
#define BENCHMARKS_PEER_DMA_H

#include <stddef.h>
#include <stdint.h>

/* DMA as a device of libvfio-user does it, through the calls that it offers; or nothing, where that is not there. */
#ifdef __cplusplus
extern "C" {
#endif

struct peer_dma;

/* Null where there is no libvfio-user. */
struct peer_dma *peer_dma_create(const char *socket, size_t regions);
/* 0, or -1. The bytes are those of the file from its start on. */
int peer_dma_map(struct peer_dma *to, uint64_t iova, size_t size, int fd);
/* Where the byte at `iova` is; null where it is not mapped. */
void *peer_dma_translate(struct peer_dma *by, uint64_t iova, size_t size);
int peer_dma_start_logging(struct peer_dma *of, size_t page);
/* The device has written there: what a device calls after vfu_addr_to_sgl. */
void peer_dma_mark(struct peer_dma *in, uint64_t iova, size_t size);
/* 0, or -1. The region's whole range. */
int peer_dma_report(struct peer_dma *of, uint64_t iova, uint64_t size, size_t page, void *bitmap, size_t bytes);
void peer_dma_destroy(struct peer_dma *what);

#ifdef __cplusplus
}
#endif
#endif
