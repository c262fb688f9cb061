//! The handlers, and the table they are registered in.

mod aims;
mod check;
mod create;
mod list;
mod shown;
mod source;
mod state;
mod tags;
mod update;

use crate::Pipes;
use shapes::pipes as p;
use std::sync::Arc;
use wire::Service;

pub(crate) fn service(pipes: &Arc<Pipes>) -> Service {
    Service::new(&p::SERVICE)
        .on::<p::CreatePipeOp, _, _, _>(pipes, create::create_pipe)
        .on::<p::DeletePipeOp, _, _, _>(pipes, state::delete_pipe)
        .on::<p::DescribePipeOp, _, _, _>(pipes, shown::describe_pipe)
        .on::<p::ListPipesOp, _, _, _>(pipes, list::list_pipes)
        .on::<p::ListTagsForResourceOp, _, _, _>(pipes, tags::list_tags_for_resource)
        .on::<p::StartPipeOp, _, _, _>(pipes, state::start_pipe)
        .on::<p::StopPipeOp, _, _, _>(pipes, state::stop_pipe)
        .on::<p::TagResourceOp, _, _, _>(pipes, tags::tag_resource)
        .on::<p::UntagResourceOp, _, _, _>(pipes, tags::untag_resource)
        .on::<p::UpdatePipeOp, _, _, _>(pipes, update::update_pipe)
}
