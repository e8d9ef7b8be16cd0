/* SPDX-License-Identifier: BSD-3-Clause */
/* libvfio-user: its public calls for translation and marks; maps and reports as its server makes them for messages. */
#include "peer_dma.h"

#include <dma.h>
#include <libvfio-user.h>
#include <private.h>

#include <alloca.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/uio.h>

struct peer_dma {
    vfu_ctx_t *context;
};

static void registered(vfu_ctx_t *context, vfu_dma_info_t *info) { (void)context, (void)info; }
static void unregistered(vfu_ctx_t *context, vfu_dma_info_t *info) { (void)context, (void)info; }

struct peer_dma *peer_dma_create(const char *socket, size_t regions) {
    struct peer_dma *made = calloc(1, sizeof *made);
    if (made == NULL) return NULL;
    made->context = vfu_create_ctx(VFU_TRANS_SOCK, socket, LIBVFIO_USER_FLAG_ATTACH_NB, NULL, VFU_DEV_TYPE_PCI);
    if (made->context == NULL) {
        free(made);
        return NULL;
    }
    made->context->dma = dma_controller_create(made->context, regions, (size_t)1 << 40);
    made->context->dma_register = registered;
    made->context->dma_unregister = unregistered;
    return made;
}

int peer_dma_map(struct peer_dma *to, uint64_t iova, size_t size, int fd) {
    const int region = dma_controller_add_region(to->context->dma, (vfu_dma_addr_t)iova, size, fd, 0,
                                                 PROT_READ | PROT_WRITE);
    return region < 0 ? -1 : 0;
}

void *peer_dma_translate(struct peer_dma *by, uint64_t iova, size_t size) {
    dma_sg_t *sg = alloca(dma_sg_size());
    struct iovec to;
    if (vfu_addr_to_sgl(by->context, (vfu_dma_addr_t)iova, size, sg, 1, PROT_READ) != 1) return NULL;
    if (vfu_sgl_get(by->context, sg, &to, 1, 0) != 0) return NULL;
    return to.iov_base;
}

int peer_dma_start_logging(struct peer_dma *of, size_t page) {
    return dma_controller_dirty_page_logging_start(of->context->dma, page);
}

void peer_dma_mark(struct peer_dma *in, uint64_t iova, size_t size) {
    dma_sg_t *sg = alloca(dma_sg_size());
    if (vfu_addr_to_sgl(in->context, (vfu_dma_addr_t)iova, size, sg, 1, PROT_WRITE) == 1)
        vfu_sgl_mark_dirty(in->context, sg, 1);
}

int peer_dma_report(struct peer_dma *of, uint64_t iova, uint64_t size, size_t page, void *bitmap, size_t bytes) {
    return dma_controller_dirty_page_get(of->context->dma, (vfu_dma_addr_t)iova, size, page, bytes, bitmap);
}

void peer_dma_destroy(struct peer_dma *what) {
    if (what == NULL) return;
    vfu_destroy_ctx(what->context);
    free(what);
}
