//! `opshub state`: everything the hub knows about one customer, at one position.

mod page;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use jiff::Timestamp;
use proto::v1;
use proto::v1::customer_state_service_client::CustomerStateServiceClient;
use proto::v1::get_customer_state_request::{At, Customer};

use super::{Failure, runtime};
use crate::client::{ClientArgs, print_json};

/// What to do about a customer or record that the hub does not know.
const IF_UNKNOWN: &str = "name a customer as customers/ID or one of its records as KIND/ID, such as account/ACCT-1205";

/// Shows the state of one customer of a running hub.
#[derive(Debug, Args)]
pub struct StateArgs {
    /// The customer as customers/ID, or any of its records as KIND/ID, such as account/ACCT-1205.
    #[arg(value_name = "NAME|SOURCE_REF", value_parser = NonEmptyStringValueParser::new())]
    customer: String,
    #[command(flatten)]
    client: ClientArgs,
    /// As the hub knew it then: an instant such as 2026-03-10T15:00:00Z, or a position, as answers with
    /// --json tell it.
    #[arg(long, value_name = "TIME|POSITION", conflicts_with = "min_position", value_parser = NonEmptyStringValueParser::new())]
    as_of: Option<String>,
    /// Not before this position: waits until it is applied.
    #[arg(long, value_name = "POSITION", value_parser = NonEmptyStringValueParser::new())]
    min_position: Option<String>,
}

pub(super) fn run(args: &StateArgs) -> Result<(), Failure> {
    runtime()?.block_on(show(args))
}

async fn show(args: &StateArgs) -> Result<(), Failure> {
    let hub = args.client.connect().await?;
    let request = v1::GetCustomerStateRequest {
        customer: Some(customer(&args.customer)),
        at: args.as_of.as_deref().map(as_of).or_else(|| args.min_position.clone().map(At::MinPosition)),
        ..v1::GetCustomerStateRequest::default()
    };
    let mut customers = CustomerStateServiceClient::new(hub.channel.clone());
    let answer = customers.get_customer_state(hub.request(request)).await;
    let attempt = format!("read the state of {}", args.customer);
    let answer = answer.map_err(|status| args.client.failed(&attempt, &status, IF_UNKNOWN))?.into_inner();
    if args.client.json {
        return print_json("GetCustomerStateResponse", &answer);
    }
    if !answer.redirected_from.is_empty() {
        eprintln!("{} is now part of another customer", answer.redirected_from);
    }
    print!("{}", page::page(&answer.customer_state.unwrap_or_default()));
    Ok(())
}

/// `customers/ID` and a bare id name the customer, `KIND/ID` one of its records.
fn customer(text: &str) -> Customer {
    match text.split_once('/') {
        None => Customer::Name(format!("customers/{text}")),
        Some(("customers", _)) => Customer::Name(text.to_owned()),
        Some((kind, id)) => Customer::SourceRef(v1::SourceRef {
            source: v1::System::Unspecified.into(),
            entity_type: kind.to_owned(),
            native_id: id.to_owned(),
        }),
    }
}

fn as_of(text: &str) -> At {
    match text.parse::<Timestamp>() {
        Ok(at) => At::AsOfTime(prost_types::Timestamp { seconds: at.as_second(), nanos: at.subsec_nanosecond() }),
        Err(_) => At::AsOfPosition(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn customers_are_named_or_found_by_a_record() {
        assert_eq!(customer("customers/1f"), Customer::Name("customers/1f".to_owned()));
        assert_eq!(customer("1f"), Customer::Name("customers/1f".to_owned()));
        let Customer::SourceRef(reference) = customer("case/SF/1") else { panic!("a record was named") };
        assert_eq!((reference.entity_type.as_str(), reference.native_id.as_str()), ("case", "SF/1"));
    }

    #[test]
    fn an_earlier_point_is_an_instant_or_a_position() {
        let instant = prost_types::Timestamp { seconds: 1_773_154_800, nanos: 500_000_000 };
        assert_eq!(as_of("2026-03-10T15:00:00.5Z"), At::AsOfTime(instant));
        assert_eq!(as_of("AQgHx"), At::AsOfPosition("AQgHx".to_owned()));
    }

    #[test]
    fn a_point_that_is_empty_is_not_the_present() {
        use clap::Parser as _;
        let parse = |words: &[&str]| crate::commands::Cli::try_parse_from([&["opshub", "state"], words].concat());
        assert!(parse(&["account/1", "--as-of", "AQgHx"]).is_ok());
        for words in [&["account/1", "--as-of", ""][..], &["account/1", "--min-position", ""], &[""]] {
            assert!(parse(words).is_err(), "{words:?}");
        }
    }
}
