//! The client against small servers: one on wiremock for what HTTP says, one on bare sockets for what breaks.

mod batches;
mod cmdlets;
mod cuts;
mod logs;
mod paces;
mod patience;
mod reads;
mod servers;
mod sign_in;
mod writes;
