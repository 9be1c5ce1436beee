import datetime

from google.protobuf import descriptor_pb2 as _descriptor_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor
HTTP_FIELD_NUMBER: _ClassVar[int]
http: _descriptor.FieldDescriptor

class CommandTerms(_message.Message):
    __slots__ = ("idempotency_key", "expected_version", "dry_run", "strict", "actor")
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_VERSION_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    STRICT_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    idempotency_key: str
    expected_version: int
    dry_run: bool
    strict: bool
    actor: str
    def __init__(self, idempotency_key: _Optional[str] = ..., expected_version: _Optional[int] = ..., dry_run: _Optional[bool] = ..., strict: _Optional[bool] = ..., actor: _Optional[str] = ...) -> None: ...

class CreateOrderRequest(_message.Message):
    __slots__ = ("customer_id", "items", "shipping_address", "payment_method", "currency", "terms")
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    SHIPPING_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    PAYMENT_METHOD_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    TERMS_FIELD_NUMBER: _ClassVar[int]
    customer_id: str
    items: _containers.RepeatedCompositeFieldContainer[OrderItem]
    shipping_address: Address
    payment_method: PaymentMethod
    currency: str
    terms: CommandTerms
    def __init__(self, customer_id: _Optional[str] = ..., items: _Optional[_Iterable[_Union[OrderItem, _Mapping]]] = ..., shipping_address: _Optional[_Union[Address, _Mapping]] = ..., payment_method: _Optional[_Union[PaymentMethod, _Mapping]] = ..., currency: _Optional[str] = ..., terms: _Optional[_Union[CommandTerms, _Mapping]] = ...) -> None: ...

class OrderItem(_message.Message):
    __slots__ = ("product_id", "sku", "quantity", "unit_price")
    PRODUCT_ID_FIELD_NUMBER: _ClassVar[int]
    SKU_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    UNIT_PRICE_FIELD_NUMBER: _ClassVar[int]
    product_id: str
    sku: str
    quantity: int
    unit_price: str
    def __init__(self, product_id: _Optional[str] = ..., sku: _Optional[str] = ..., quantity: _Optional[int] = ..., unit_price: _Optional[str] = ...) -> None: ...

class Address(_message.Message):
    __slots__ = ("street", "city", "state", "zip", "country")
    STREET_FIELD_NUMBER: _ClassVar[int]
    CITY_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ZIP_FIELD_NUMBER: _ClassVar[int]
    COUNTRY_FIELD_NUMBER: _ClassVar[int]
    street: str
    city: str
    state: str
    zip: str
    country: str
    def __init__(self, street: _Optional[str] = ..., city: _Optional[str] = ..., state: _Optional[str] = ..., zip: _Optional[str] = ..., country: _Optional[str] = ...) -> None: ...

class PaymentMethod(_message.Message):
    __slots__ = ("type", "label")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    type: str
    label: str
    def __init__(self, type: _Optional[str] = ..., label: _Optional[str] = ...) -> None: ...

class ConfirmOrderRequest(_message.Message):
    __slots__ = ("order_id", "terms")
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    TERMS_FIELD_NUMBER: _ClassVar[int]
    order_id: str
    terms: CommandTerms
    def __init__(self, order_id: _Optional[str] = ..., terms: _Optional[_Union[CommandTerms, _Mapping]] = ...) -> None: ...

class CancelOrderRequest(_message.Message):
    __slots__ = ("order_id", "reason", "terms")
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    TERMS_FIELD_NUMBER: _ClassVar[int]
    order_id: str
    reason: str
    terms: CommandTerms
    def __init__(self, order_id: _Optional[str] = ..., reason: _Optional[str] = ..., terms: _Optional[_Union[CommandTerms, _Mapping]] = ...) -> None: ...

class ShipOrderRequest(_message.Message):
    __slots__ = ("order_id", "tracking_number", "carrier", "terms")
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    TRACKING_NUMBER_FIELD_NUMBER: _ClassVar[int]
    CARRIER_FIELD_NUMBER: _ClassVar[int]
    TERMS_FIELD_NUMBER: _ClassVar[int]
    order_id: str
    tracking_number: str
    carrier: str
    terms: CommandTerms
    def __init__(self, order_id: _Optional[str] = ..., tracking_number: _Optional[str] = ..., carrier: _Optional[str] = ..., terms: _Optional[_Union[CommandTerms, _Mapping]] = ...) -> None: ...

class DeliverOrderRequest(_message.Message):
    __slots__ = ("order_id", "terms")
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    TERMS_FIELD_NUMBER: _ClassVar[int]
    order_id: str
    terms: CommandTerms
    def __init__(self, order_id: _Optional[str] = ..., terms: _Optional[_Union[CommandTerms, _Mapping]] = ...) -> None: ...

class RefundOrderRequest(_message.Message):
    __slots__ = ("order_id", "amount", "reason", "currency", "restock", "terms")
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    RESTOCK_FIELD_NUMBER: _ClassVar[int]
    TERMS_FIELD_NUMBER: _ClassVar[int]
    order_id: str
    amount: str
    reason: str
    currency: str
    restock: Restock
    terms: CommandTerms
    def __init__(self, order_id: _Optional[str] = ..., amount: _Optional[str] = ..., reason: _Optional[str] = ..., currency: _Optional[str] = ..., restock: _Optional[_Union[Restock, _Mapping]] = ..., terms: _Optional[_Union[CommandTerms, _Mapping]] = ...) -> None: ...

class Restock(_message.Message):
    __slots__ = ("everything", "units")
    EVERYTHING_FIELD_NUMBER: _ClassVar[int]
    UNITS_FIELD_NUMBER: _ClassVar[int]
    everything: bool
    units: _containers.RepeatedCompositeFieldContainer[ReturnedUnits]
    def __init__(self, everything: _Optional[bool] = ..., units: _Optional[_Iterable[_Union[ReturnedUnits, _Mapping]]] = ...) -> None: ...

class ReturnedUnits(_message.Message):
    __slots__ = ("sku", "quantity")
    SKU_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    sku: str
    quantity: int
    def __init__(self, sku: _Optional[str] = ..., quantity: _Optional[int] = ...) -> None: ...

class ReceiveStockRequest(_message.Message):
    __slots__ = ("sku", "quantity", "product_id", "name", "terms")
    SKU_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    PRODUCT_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    TERMS_FIELD_NUMBER: _ClassVar[int]
    sku: str
    quantity: int
    product_id: str
    name: str
    terms: CommandTerms
    def __init__(self, sku: _Optional[str] = ..., quantity: _Optional[int] = ..., product_id: _Optional[str] = ..., name: _Optional[str] = ..., terms: _Optional[_Union[CommandTerms, _Mapping]] = ...) -> None: ...

class AdjustStockRequest(_message.Message):
    __slots__ = ("sku", "quantity", "reason", "terms")
    SKU_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    TERMS_FIELD_NUMBER: _ClassVar[int]
    sku: str
    quantity: int
    reason: str
    terms: CommandTerms
    def __init__(self, sku: _Optional[str] = ..., quantity: _Optional[int] = ..., reason: _Optional[str] = ..., terms: _Optional[_Union[CommandTerms, _Mapping]] = ...) -> None: ...

class SteerSagaRequest(_message.Message):
    __slots__ = ("saga_id", "reason", "terms")
    SAGA_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    TERMS_FIELD_NUMBER: _ClassVar[int]
    saga_id: str
    reason: str
    terms: CommandTerms
    def __init__(self, saga_id: _Optional[str] = ..., reason: _Optional[str] = ..., terms: _Optional[_Union[CommandTerms, _Mapping]] = ...) -> None: ...

class OrderAnswer(_message.Message):
    __slots__ = ("order_id", "status", "version", "position", "order_number", "tracking_number", "refund_id", "replayed", "dry_run", "events", "warnings")
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    ORDER_NUMBER_FIELD_NUMBER: _ClassVar[int]
    TRACKING_NUMBER_FIELD_NUMBER: _ClassVar[int]
    REFUND_ID_FIELD_NUMBER: _ClassVar[int]
    REPLAYED_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    order_id: str
    status: str
    version: int
    position: int
    order_number: str
    tracking_number: str
    refund_id: str
    replayed: bool
    dry_run: bool
    events: _containers.RepeatedCompositeFieldContainer[Event]
    warnings: _containers.RepeatedCompositeFieldContainer[Warning]
    def __init__(self, order_id: _Optional[str] = ..., status: _Optional[str] = ..., version: _Optional[int] = ..., position: _Optional[int] = ..., order_number: _Optional[str] = ..., tracking_number: _Optional[str] = ..., refund_id: _Optional[str] = ..., replayed: _Optional[bool] = ..., dry_run: _Optional[bool] = ..., events: _Optional[_Iterable[_Union[Event, _Mapping]]] = ..., warnings: _Optional[_Iterable[_Union[Warning, _Mapping]]] = ...) -> None: ...

class StockAnswer(_message.Message):
    __slots__ = ("sku", "available", "version", "position", "replayed", "dry_run", "events", "warnings")
    SKU_FIELD_NUMBER: _ClassVar[int]
    AVAILABLE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    REPLAYED_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    sku: str
    available: int
    version: int
    position: int
    replayed: bool
    dry_run: bool
    events: _containers.RepeatedCompositeFieldContainer[Event]
    warnings: _containers.RepeatedCompositeFieldContainer[Warning]
    def __init__(self, sku: _Optional[str] = ..., available: _Optional[int] = ..., version: _Optional[int] = ..., position: _Optional[int] = ..., replayed: _Optional[bool] = ..., dry_run: _Optional[bool] = ..., events: _Optional[_Iterable[_Union[Event, _Mapping]]] = ..., warnings: _Optional[_Iterable[_Union[Warning, _Mapping]]] = ...) -> None: ...

class SagaAnswer(_message.Message):
    __slots__ = ("saga_id", "status", "version", "position", "step", "replayed", "dry_run", "events", "warnings")
    SAGA_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    REPLAYED_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    saga_id: str
    status: str
    version: int
    position: int
    step: str
    replayed: bool
    dry_run: bool
    events: _containers.RepeatedCompositeFieldContainer[Event]
    warnings: _containers.RepeatedCompositeFieldContainer[Warning]
    def __init__(self, saga_id: _Optional[str] = ..., status: _Optional[str] = ..., version: _Optional[int] = ..., position: _Optional[int] = ..., step: _Optional[str] = ..., replayed: _Optional[bool] = ..., dry_run: _Optional[bool] = ..., events: _Optional[_Iterable[_Union[Event, _Mapping]]] = ..., warnings: _Optional[_Iterable[_Union[Warning, _Mapping]]] = ...) -> None: ...

class Warning(_message.Message):
    __slots__ = ("field", "message")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    field: str
    message: str
    def __init__(self, field: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class Event(_message.Message):
    __slots__ = ("event_id", "aggregate_id", "aggregate_type", "event_type", "event_version", "schema_version", "payload", "metadata", "timestamp", "version", "position", "became")
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    AGGREGATE_ID_FIELD_NUMBER: _ClassVar[int]
    AGGREGATE_TYPE_FIELD_NUMBER: _ClassVar[int]
    EVENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    EVENT_VERSION_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_VERSION_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    BECAME_FIELD_NUMBER: _ClassVar[int]
    event_id: str
    aggregate_id: str
    aggregate_type: str
    event_type: str
    event_version: int
    schema_version: int
    payload: str
    metadata: str
    timestamp: _timestamp_pb2.Timestamp
    version: int
    position: int
    became: _containers.RepeatedCompositeFieldContainer[NewerEvent]
    def __init__(self, event_id: _Optional[str] = ..., aggregate_id: _Optional[str] = ..., aggregate_type: _Optional[str] = ..., event_type: _Optional[str] = ..., event_version: _Optional[int] = ..., schema_version: _Optional[int] = ..., payload: _Optional[str] = ..., metadata: _Optional[str] = ..., timestamp: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., version: _Optional[int] = ..., position: _Optional[int] = ..., became: _Optional[_Iterable[_Union[NewerEvent, _Mapping]]] = ...) -> None: ...

class NewerEvent(_message.Message):
    __slots__ = ("event_type", "schema_version", "payload")
    EVENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_VERSION_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    event_type: str
    schema_version: int
    payload: str
    def __init__(self, event_type: _Optional[str] = ..., schema_version: _Optional[int] = ..., payload: _Optional[str] = ...) -> None: ...

class Events(_message.Message):
    __slots__ = ("events", "next_after")
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_AFTER_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[Event]
    next_after: int
    def __init__(self, events: _Optional[_Iterable[_Union[Event, _Mapping]]] = ..., next_after: _Optional[int] = ...) -> None: ...

class ListEventsRequest(_message.Message):
    __slots__ = ("after", "before", "at", "limit", "category", "type", "order_id", "stream_id", "schema", "min_position", "as_of")
    AFTER_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    STREAM_ID_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    MIN_POSITION_FIELD_NUMBER: _ClassVar[int]
    AS_OF_FIELD_NUMBER: _ClassVar[int]
    after: int
    before: int
    at: str
    limit: int
    category: _containers.RepeatedScalarFieldContainer[str]
    type: _containers.RepeatedScalarFieldContainer[str]
    order_id: str
    stream_id: str
    schema: str
    min_position: int
    as_of: str
    def __init__(self, after: _Optional[int] = ..., before: _Optional[int] = ..., at: _Optional[str] = ..., limit: _Optional[int] = ..., category: _Optional[_Iterable[str]] = ..., type: _Optional[_Iterable[str]] = ..., order_id: _Optional[str] = ..., stream_id: _Optional[str] = ..., schema: _Optional[str] = ..., min_position: _Optional[int] = ..., as_of: _Optional[str] = ...) -> None: ...

class LogPage(_message.Message):
    __slots__ = ("events", "next_after", "next_before", "head")
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_AFTER_FIELD_NUMBER: _ClassVar[int]
    NEXT_BEFORE_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[Event]
    next_after: int
    next_before: int
    head: int
    def __init__(self, events: _Optional[_Iterable[_Union[Event, _Mapping]]] = ..., next_after: _Optional[int] = ..., next_before: _Optional[int] = ..., head: _Optional[int] = ...) -> None: ...

class FollowRequest(_message.Message):
    __slots__ = ("after", "category", "type", "schema", "skip")
    AFTER_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    SKIP_FIELD_NUMBER: _ClassVar[int]
    after: int
    category: _containers.RepeatedScalarFieldContainer[str]
    type: _containers.RepeatedScalarFieldContainer[str]
    schema: str
    skip: bool
    def __init__(self, after: _Optional[int] = ..., category: _Optional[_Iterable[str]] = ..., type: _Optional[_Iterable[str]] = ..., schema: _Optional[str] = ..., skip: _Optional[bool] = ...) -> None: ...

class LogEntry(_message.Message):
    __slots__ = ("position", "event", "skipped")
    POSITION_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_FIELD_NUMBER: _ClassVar[int]
    position: int
    event: Event
    skipped: Skipped
    def __init__(self, position: _Optional[int] = ..., event: _Optional[_Union[Event, _Mapping]] = ..., skipped: _Optional[_Union[Skipped, _Mapping]] = ...) -> None: ...

class Skipped(_message.Message):
    __slots__ = ("after", "before", "count")
    AFTER_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    after: int
    before: int
    count: int
    def __init__(self, after: _Optional[int] = ..., before: _Optional[int] = ..., count: _Optional[int] = ...) -> None: ...

class GetOrderRequest(_message.Message):
    __slots__ = ("order_id", "min_version", "min_payment_version", "wait", "min_position", "as_of")
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    MIN_VERSION_FIELD_NUMBER: _ClassVar[int]
    MIN_PAYMENT_VERSION_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    MIN_POSITION_FIELD_NUMBER: _ClassVar[int]
    AS_OF_FIELD_NUMBER: _ClassVar[int]
    order_id: str
    min_version: int
    min_payment_version: int
    wait: float
    min_position: int
    as_of: str
    def __init__(self, order_id: _Optional[str] = ..., min_version: _Optional[int] = ..., min_payment_version: _Optional[int] = ..., wait: _Optional[float] = ..., min_position: _Optional[int] = ..., as_of: _Optional[str] = ...) -> None: ...

class GetOrderByNumberRequest(_message.Message):
    __slots__ = ("order_number", "min_position", "as_of")
    ORDER_NUMBER_FIELD_NUMBER: _ClassVar[int]
    MIN_POSITION_FIELD_NUMBER: _ClassVar[int]
    AS_OF_FIELD_NUMBER: _ClassVar[int]
    order_number: str
    min_position: int
    as_of: str
    def __init__(self, order_number: _Optional[str] = ..., min_position: _Optional[int] = ..., as_of: _Optional[str] = ...) -> None: ...

class ListOrdersRequest(_message.Message):
    __slots__ = ("filter", "sort", "cursor", "limit", "min_position", "as_of")
    FILTER_FIELD_NUMBER: _ClassVar[int]
    SORT_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    MIN_POSITION_FIELD_NUMBER: _ClassVar[int]
    AS_OF_FIELD_NUMBER: _ClassVar[int]
    filter: OrderFilter
    sort: str
    cursor: str
    limit: int
    min_position: int
    as_of: str
    def __init__(self, filter: _Optional[_Union[OrderFilter, _Mapping]] = ..., sort: _Optional[str] = ..., cursor: _Optional[str] = ..., limit: _Optional[int] = ..., min_position: _Optional[int] = ..., as_of: _Optional[str] = ...) -> None: ...

class CountOrdersRequest(_message.Message):
    __slots__ = ("filter", "min_position", "as_of")
    FILTER_FIELD_NUMBER: _ClassVar[int]
    MIN_POSITION_FIELD_NUMBER: _ClassVar[int]
    AS_OF_FIELD_NUMBER: _ClassVar[int]
    filter: OrderFilter
    min_position: int
    as_of: str
    def __init__(self, filter: _Optional[_Union[OrderFilter, _Mapping]] = ..., min_position: _Optional[int] = ..., as_of: _Optional[str] = ...) -> None: ...

class OrderFilter(_message.Message):
    __slots__ = ("order_id", "order_number", "status", "not_status", "payment", "not_payment", "customer_id", "not_customer_id", "sku", "not_sku", "currency", "not_currency", "saga", "min_total", "max_total", "created_from", "created_to", "updated_from", "updated_to", "q")
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    ORDER_NUMBER_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    NOT_STATUS_FIELD_NUMBER: _ClassVar[int]
    PAYMENT_FIELD_NUMBER: _ClassVar[int]
    NOT_PAYMENT_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    NOT_CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    SKU_FIELD_NUMBER: _ClassVar[int]
    NOT_SKU_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    NOT_CURRENCY_FIELD_NUMBER: _ClassVar[int]
    SAGA_FIELD_NUMBER: _ClassVar[int]
    MIN_TOTAL_FIELD_NUMBER: _ClassVar[int]
    MAX_TOTAL_FIELD_NUMBER: _ClassVar[int]
    CREATED_FROM_FIELD_NUMBER: _ClassVar[int]
    CREATED_TO_FIELD_NUMBER: _ClassVar[int]
    UPDATED_FROM_FIELD_NUMBER: _ClassVar[int]
    UPDATED_TO_FIELD_NUMBER: _ClassVar[int]
    Q_FIELD_NUMBER: _ClassVar[int]
    order_id: _containers.RepeatedScalarFieldContainer[str]
    order_number: _containers.RepeatedScalarFieldContainer[str]
    status: _containers.RepeatedScalarFieldContainer[str]
    not_status: _containers.RepeatedScalarFieldContainer[str]
    payment: _containers.RepeatedScalarFieldContainer[str]
    not_payment: _containers.RepeatedScalarFieldContainer[str]
    customer_id: _containers.RepeatedScalarFieldContainer[str]
    not_customer_id: _containers.RepeatedScalarFieldContainer[str]
    sku: _containers.RepeatedScalarFieldContainer[str]
    not_sku: _containers.RepeatedScalarFieldContainer[str]
    currency: _containers.RepeatedScalarFieldContainer[str]
    not_currency: _containers.RepeatedScalarFieldContainer[str]
    saga: _containers.RepeatedScalarFieldContainer[str]
    min_total: str
    max_total: str
    created_from: str
    created_to: str
    updated_from: str
    updated_to: str
    q: str
    def __init__(self, order_id: _Optional[_Iterable[str]] = ..., order_number: _Optional[_Iterable[str]] = ..., status: _Optional[_Iterable[str]] = ..., not_status: _Optional[_Iterable[str]] = ..., payment: _Optional[_Iterable[str]] = ..., not_payment: _Optional[_Iterable[str]] = ..., customer_id: _Optional[_Iterable[str]] = ..., not_customer_id: _Optional[_Iterable[str]] = ..., sku: _Optional[_Iterable[str]] = ..., not_sku: _Optional[_Iterable[str]] = ..., currency: _Optional[_Iterable[str]] = ..., not_currency: _Optional[_Iterable[str]] = ..., saga: _Optional[_Iterable[str]] = ..., min_total: _Optional[str] = ..., max_total: _Optional[str] = ..., created_from: _Optional[str] = ..., created_to: _Optional[str] = ..., updated_from: _Optional[str] = ..., updated_to: _Optional[str] = ..., q: _Optional[str] = ...) -> None: ...

class Order(_message.Message):
    __slots__ = ("order_id", "customer_id", "order_number", "status", "payment_status", "total_amount", "authorized_amount", "captured_amount", "refunded_amount", "currency", "items", "shipping_address", "tracking_number", "carrier", "payment_expires_at", "created_at", "updated_at", "version", "payment_version", "saga_id", "saga_state", "open_amount")
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    ORDER_NUMBER_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    PAYMENT_STATUS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    AUTHORIZED_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    CAPTURED_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    REFUNDED_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    SHIPPING_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    TRACKING_NUMBER_FIELD_NUMBER: _ClassVar[int]
    CARRIER_FIELD_NUMBER: _ClassVar[int]
    PAYMENT_EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PAYMENT_VERSION_FIELD_NUMBER: _ClassVar[int]
    SAGA_ID_FIELD_NUMBER: _ClassVar[int]
    SAGA_STATE_FIELD_NUMBER: _ClassVar[int]
    OPEN_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    order_id: str
    customer_id: str
    order_number: str
    status: str
    payment_status: str
    total_amount: str
    authorized_amount: str
    captured_amount: str
    refunded_amount: str
    currency: str
    items: _containers.RepeatedCompositeFieldContainer[OrderItem]
    shipping_address: Address
    tracking_number: str
    carrier: str
    payment_expires_at: _timestamp_pb2.Timestamp
    created_at: _timestamp_pb2.Timestamp
    updated_at: _timestamp_pb2.Timestamp
    version: int
    payment_version: int
    saga_id: str
    saga_state: str
    open_amount: str
    def __init__(self, order_id: _Optional[str] = ..., customer_id: _Optional[str] = ..., order_number: _Optional[str] = ..., status: _Optional[str] = ..., payment_status: _Optional[str] = ..., total_amount: _Optional[str] = ..., authorized_amount: _Optional[str] = ..., captured_amount: _Optional[str] = ..., refunded_amount: _Optional[str] = ..., currency: _Optional[str] = ..., items: _Optional[_Iterable[_Union[OrderItem, _Mapping]]] = ..., shipping_address: _Optional[_Union[Address, _Mapping]] = ..., tracking_number: _Optional[str] = ..., carrier: _Optional[str] = ..., payment_expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., version: _Optional[int] = ..., payment_version: _Optional[int] = ..., saga_id: _Optional[str] = ..., saga_state: _Optional[str] = ..., open_amount: _Optional[str] = ...) -> None: ...

class Orders(_message.Message):
    __slots__ = ("orders", "next_cursor", "prev_cursor", "total", "total_estimated")
    ORDERS_FIELD_NUMBER: _ClassVar[int]
    NEXT_CURSOR_FIELD_NUMBER: _ClassVar[int]
    PREV_CURSOR_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    TOTAL_ESTIMATED_FIELD_NUMBER: _ClassVar[int]
    orders: _containers.RepeatedCompositeFieldContainer[Order]
    next_cursor: str
    prev_cursor: str
    total: int
    total_estimated: bool
    def __init__(self, orders: _Optional[_Iterable[_Union[Order, _Mapping]]] = ..., next_cursor: _Optional[str] = ..., prev_cursor: _Optional[str] = ..., total: _Optional[int] = ..., total_estimated: _Optional[bool] = ...) -> None: ...

class OrderCounts(_message.Message):
    __slots__ = ("total", "statuses", "payments")
    class StatusesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: OrderCount
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[OrderCount, _Mapping]] = ...) -> None: ...
    class PaymentsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: OrderCount
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[OrderCount, _Mapping]] = ...) -> None: ...
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    STATUSES_FIELD_NUMBER: _ClassVar[int]
    PAYMENTS_FIELD_NUMBER: _ClassVar[int]
    total: OrderCount
    statuses: _containers.MessageMap[str, OrderCount]
    payments: _containers.MessageMap[str, OrderCount]
    def __init__(self, total: _Optional[_Union[OrderCount, _Mapping]] = ..., statuses: _Optional[_Mapping[str, OrderCount]] = ..., payments: _Optional[_Mapping[str, OrderCount]] = ...) -> None: ...

class OrderCount(_message.Message):
    __slots__ = ("total", "estimated")
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    ESTIMATED_FIELD_NUMBER: _ClassVar[int]
    total: int
    estimated: bool
    def __init__(self, total: _Optional[int] = ..., estimated: _Optional[bool] = ...) -> None: ...

class ListOrderEventsRequest(_message.Message):
    __slots__ = ("order_id", "after", "limit", "schema", "min_position", "as_of")
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    MIN_POSITION_FIELD_NUMBER: _ClassVar[int]
    AS_OF_FIELD_NUMBER: _ClassVar[int]
    order_id: str
    after: int
    limit: int
    schema: str
    min_position: int
    as_of: str
    def __init__(self, order_id: _Optional[str] = ..., after: _Optional[int] = ..., limit: _Optional[int] = ..., schema: _Optional[str] = ..., min_position: _Optional[int] = ..., as_of: _Optional[str] = ...) -> None: ...

class GetTimelineRequest(_message.Message):
    __slots__ = ("order_id", "after", "limit", "schema", "min_position", "as_of")
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    MIN_POSITION_FIELD_NUMBER: _ClassVar[int]
    AS_OF_FIELD_NUMBER: _ClassVar[int]
    order_id: str
    after: int
    limit: int
    schema: str
    min_position: int
    as_of: str
    def __init__(self, order_id: _Optional[str] = ..., after: _Optional[int] = ..., limit: _Optional[int] = ..., schema: _Optional[str] = ..., min_position: _Optional[int] = ..., as_of: _Optional[str] = ...) -> None: ...

class ListStockRequest(_message.Message):
    __slots__ = ("cursor", "limit", "min_position", "as_of")
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    MIN_POSITION_FIELD_NUMBER: _ClassVar[int]
    AS_OF_FIELD_NUMBER: _ClassVar[int]
    cursor: str
    limit: int
    min_position: int
    as_of: str
    def __init__(self, cursor: _Optional[str] = ..., limit: _Optional[int] = ..., min_position: _Optional[int] = ..., as_of: _Optional[str] = ...) -> None: ...

class GetStockRequest(_message.Message):
    __slots__ = ("sku", "min_position", "as_of")
    SKU_FIELD_NUMBER: _ClassVar[int]
    MIN_POSITION_FIELD_NUMBER: _ClassVar[int]
    AS_OF_FIELD_NUMBER: _ClassVar[int]
    sku: str
    min_position: int
    as_of: str
    def __init__(self, sku: _Optional[str] = ..., min_position: _Optional[int] = ..., as_of: _Optional[str] = ...) -> None: ...

class StockLevel(_message.Message):
    __slots__ = ("sku", "product_id", "name", "on_hand", "reserved", "available", "updated_at", "version")
    SKU_FIELD_NUMBER: _ClassVar[int]
    PRODUCT_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ON_HAND_FIELD_NUMBER: _ClassVar[int]
    RESERVED_FIELD_NUMBER: _ClassVar[int]
    AVAILABLE_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    sku: str
    product_id: str
    name: str
    on_hand: int
    reserved: int
    available: int
    updated_at: _timestamp_pb2.Timestamp
    version: int
    def __init__(self, sku: _Optional[str] = ..., product_id: _Optional[str] = ..., name: _Optional[str] = ..., on_hand: _Optional[int] = ..., reserved: _Optional[int] = ..., available: _Optional[int] = ..., updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., version: _Optional[int] = ...) -> None: ...

class StockLevels(_message.Message):
    __slots__ = ("items", "next_cursor")
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    NEXT_CURSOR_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[StockLevel]
    next_cursor: str
    def __init__(self, items: _Optional[_Iterable[_Union[StockLevel, _Mapping]]] = ..., next_cursor: _Optional[str] = ...) -> None: ...

class GetCustomerRequest(_message.Message):
    __slots__ = ("customer_id", "min_position", "as_of")
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    MIN_POSITION_FIELD_NUMBER: _ClassVar[int]
    AS_OF_FIELD_NUMBER: _ClassVar[int]
    customer_id: str
    min_position: int
    as_of: str
    def __init__(self, customer_id: _Optional[str] = ..., min_position: _Optional[int] = ..., as_of: _Optional[str] = ...) -> None: ...

class Customer(_message.Message):
    __slots__ = ("customer_id", "orders", "last_order_at", "totals")
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    ORDERS_FIELD_NUMBER: _ClassVar[int]
    LAST_ORDER_AT_FIELD_NUMBER: _ClassVar[int]
    TOTALS_FIELD_NUMBER: _ClassVar[int]
    customer_id: str
    orders: int
    last_order_at: _timestamp_pb2.Timestamp
    totals: _containers.RepeatedCompositeFieldContainer[CustomerTotal]
    def __init__(self, customer_id: _Optional[str] = ..., orders: _Optional[int] = ..., last_order_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., totals: _Optional[_Iterable[_Union[CustomerTotal, _Mapping]]] = ...) -> None: ...

class CustomerTotal(_message.Message):
    __slots__ = ("currency", "orders", "spent", "last_order_at")
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    ORDERS_FIELD_NUMBER: _ClassVar[int]
    SPENT_FIELD_NUMBER: _ClassVar[int]
    LAST_ORDER_AT_FIELD_NUMBER: _ClassVar[int]
    currency: str
    orders: int
    spent: str
    last_order_at: _timestamp_pb2.Timestamp
    def __init__(self, currency: _Optional[str] = ..., orders: _Optional[int] = ..., spent: _Optional[str] = ..., last_order_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class GetDemandRequest(_message.Message):
    __slots__ = ("sku", "min_position", "as_of")
    SKU_FIELD_NUMBER: _ClassVar[int]
    MIN_POSITION_FIELD_NUMBER: _ClassVar[int]
    AS_OF_FIELD_NUMBER: _ClassVar[int]
    sku: str
    min_position: int
    as_of: str
    def __init__(self, sku: _Optional[str] = ..., min_position: _Optional[int] = ..., as_of: _Optional[str] = ...) -> None: ...

class Demand(_message.Message):
    __slots__ = ("sku", "totals")
    SKU_FIELD_NUMBER: _ClassVar[int]
    TOTALS_FIELD_NUMBER: _ClassVar[int]
    sku: str
    totals: _containers.RepeatedCompositeFieldContainer[DemandTotal]
    def __init__(self, sku: _Optional[str] = ..., totals: _Optional[_Iterable[_Union[DemandTotal, _Mapping]]] = ...) -> None: ...

class DemandTotal(_message.Message):
    __slots__ = ("currency", "units_ordered", "units_live", "revenue")
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    UNITS_ORDERED_FIELD_NUMBER: _ClassVar[int]
    UNITS_LIVE_FIELD_NUMBER: _ClassVar[int]
    REVENUE_FIELD_NUMBER: _ClassVar[int]
    currency: str
    units_ordered: int
    units_live: int
    revenue: str
    def __init__(self, currency: _Optional[str] = ..., units_ordered: _Optional[int] = ..., units_live: _Optional[int] = ..., revenue: _Optional[str] = ...) -> None: ...

class ListSagasRequest(_message.Message):
    __slots__ = ("status", "state", "saga_id", "order_id", "name", "error", "sort", "cursor", "limit", "min_position", "as_of")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    SAGA_ID_FIELD_NUMBER: _ClassVar[int]
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    SORT_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    MIN_POSITION_FIELD_NUMBER: _ClassVar[int]
    AS_OF_FIELD_NUMBER: _ClassVar[int]
    status: _containers.RepeatedScalarFieldContainer[str]
    state: _containers.RepeatedScalarFieldContainer[str]
    saga_id: _containers.RepeatedScalarFieldContainer[str]
    order_id: str
    name: str
    error: str
    sort: str
    cursor: str
    limit: int
    min_position: int
    as_of: str
    def __init__(self, status: _Optional[_Iterable[str]] = ..., state: _Optional[_Iterable[str]] = ..., saga_id: _Optional[_Iterable[str]] = ..., order_id: _Optional[str] = ..., name: _Optional[str] = ..., error: _Optional[str] = ..., sort: _Optional[str] = ..., cursor: _Optional[str] = ..., limit: _Optional[int] = ..., min_position: _Optional[int] = ..., as_of: _Optional[str] = ...) -> None: ...

class Sagas(_message.Message):
    __slots__ = ("sagas", "next_cursor", "prev_cursor")
    SAGAS_FIELD_NUMBER: _ClassVar[int]
    NEXT_CURSOR_FIELD_NUMBER: _ClassVar[int]
    PREV_CURSOR_FIELD_NUMBER: _ClassVar[int]
    sagas: _containers.RepeatedCompositeFieldContainer[Saga]
    next_cursor: str
    prev_cursor: str
    def __init__(self, sagas: _Optional[_Iterable[_Union[Saga, _Mapping]]] = ..., next_cursor: _Optional[str] = ..., prev_cursor: _Optional[str] = ...) -> None: ...

class GetSagaRequest(_message.Message):
    __slots__ = ("saga_id", "schema", "min_position", "as_of")
    SAGA_ID_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    MIN_POSITION_FIELD_NUMBER: _ClassVar[int]
    AS_OF_FIELD_NUMBER: _ClassVar[int]
    saga_id: str
    schema: str
    min_position: int
    as_of: str
    def __init__(self, saga_id: _Optional[str] = ..., schema: _Optional[str] = ..., min_position: _Optional[int] = ..., as_of: _Optional[str] = ...) -> None: ...

class Saga(_message.Message):
    __slots__ = ("saga_id", "name", "definition", "order_id", "status", "step", "attempts", "last_error", "claimed", "due_at", "started_at", "updated_at", "deadline", "state", "next_attempt_at", "order_number", "held_by", "lease_until", "open_amount", "currency", "at_risk", "authorization_ends_at", "authorization_ends_in", "about", "steps", "open", "lanes", "events")
    class StepsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    SAGA_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DEFINITION_FIELD_NUMBER: _ClassVar[int]
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    LAST_ERROR_FIELD_NUMBER: _ClassVar[int]
    CLAIMED_FIELD_NUMBER: _ClassVar[int]
    DUE_AT_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    NEXT_ATTEMPT_AT_FIELD_NUMBER: _ClassVar[int]
    ORDER_NUMBER_FIELD_NUMBER: _ClassVar[int]
    HELD_BY_FIELD_NUMBER: _ClassVar[int]
    LEASE_UNTIL_FIELD_NUMBER: _ClassVar[int]
    OPEN_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    AT_RISK_FIELD_NUMBER: _ClassVar[int]
    AUTHORIZATION_ENDS_AT_FIELD_NUMBER: _ClassVar[int]
    AUTHORIZATION_ENDS_IN_FIELD_NUMBER: _ClassVar[int]
    ABOUT_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    OPEN_FIELD_NUMBER: _ClassVar[int]
    LANES_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    saga_id: str
    name: str
    definition: int
    order_id: str
    status: str
    step: str
    attempts: int
    last_error: str
    claimed: bool
    due_at: _timestamp_pb2.Timestamp
    started_at: _timestamp_pb2.Timestamp
    updated_at: _timestamp_pb2.Timestamp
    deadline: _timestamp_pb2.Timestamp
    state: str
    next_attempt_at: _timestamp_pb2.Timestamp
    order_number: str
    held_by: str
    lease_until: _timestamp_pb2.Timestamp
    open_amount: str
    currency: str
    at_risk: str
    authorization_ends_at: _timestamp_pb2.Timestamp
    authorization_ends_in: float
    about: str
    steps: _containers.ScalarMap[str, str]
    open: OpenItems
    lanes: _containers.RepeatedCompositeFieldContainer[Lane]
    events: _containers.RepeatedCompositeFieldContainer[Event]
    def __init__(self, saga_id: _Optional[str] = ..., name: _Optional[str] = ..., definition: _Optional[int] = ..., order_id: _Optional[str] = ..., status: _Optional[str] = ..., step: _Optional[str] = ..., attempts: _Optional[int] = ..., last_error: _Optional[str] = ..., claimed: _Optional[bool] = ..., due_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., started_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., deadline: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., state: _Optional[str] = ..., next_attempt_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., order_number: _Optional[str] = ..., held_by: _Optional[str] = ..., lease_until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., open_amount: _Optional[str] = ..., currency: _Optional[str] = ..., at_risk: _Optional[str] = ..., authorization_ends_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., authorization_ends_in: _Optional[float] = ..., about: _Optional[str] = ..., steps: _Optional[_Mapping[str, str]] = ..., open: _Optional[_Union[OpenItems, _Mapping]] = ..., lanes: _Optional[_Iterable[_Union[Lane, _Mapping]]] = ..., events: _Optional[_Iterable[_Union[Event, _Mapping]]] = ...) -> None: ...

class OpenItems(_message.Message):
    __slots__ = ("money", "stock", "items")
    MONEY_FIELD_NUMBER: _ClassVar[int]
    STOCK_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    money: Money
    stock: _containers.RepeatedCompositeFieldContainer[OpenStock]
    items: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, money: _Optional[_Union[Money, _Mapping]] = ..., stock: _Optional[_Iterable[_Union[OpenStock, _Mapping]]] = ..., items: _Optional[_Iterable[str]] = ...) -> None: ...

class OpenStock(_message.Message):
    __slots__ = ("sku", "quantity")
    SKU_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    sku: str
    quantity: int
    def __init__(self, sku: _Optional[str] = ..., quantity: _Optional[int] = ...) -> None: ...

class Money(_message.Message):
    __slots__ = ("amount", "currency")
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    amount: str
    currency: str
    def __init__(self, amount: _Optional[str] = ..., currency: _Optional[str] = ...) -> None: ...

class Lane(_message.Message):
    __slots__ = ("step", "does", "undo", "status", "undo_status", "tries", "open")
    STEP_FIELD_NUMBER: _ClassVar[int]
    DOES_FIELD_NUMBER: _ClassVar[int]
    UNDO_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    UNDO_STATUS_FIELD_NUMBER: _ClassVar[int]
    TRIES_FIELD_NUMBER: _ClassVar[int]
    OPEN_FIELD_NUMBER: _ClassVar[int]
    step: str
    does: str
    undo: str
    status: str
    undo_status: str
    tries: _containers.RepeatedCompositeFieldContainer[Try]
    open: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, step: _Optional[str] = ..., does: _Optional[str] = ..., undo: _Optional[str] = ..., status: _Optional[str] = ..., undo_status: _Optional[str] = ..., tries: _Optional[_Iterable[_Union[Try, _Mapping]]] = ..., open: _Optional[_Iterable[str]] = ...) -> None: ...

class Try(_message.Message):
    __slots__ = ("direction", "attempt", "started_at", "ended_at", "outcome", "error", "retry_at", "final")
    DIRECTION_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    RETRY_AT_FIELD_NUMBER: _ClassVar[int]
    FINAL_FIELD_NUMBER: _ClassVar[int]
    direction: str
    attempt: int
    started_at: _timestamp_pb2.Timestamp
    ended_at: _timestamp_pb2.Timestamp
    outcome: str
    error: str
    retry_at: _timestamp_pb2.Timestamp
    final: bool
    def __init__(self, direction: _Optional[str] = ..., attempt: _Optional[int] = ..., started_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ended_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., outcome: _Optional[str] = ..., error: _Optional[str] = ..., retry_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., final: _Optional[bool] = ...) -> None: ...

class SummarizeSagasRequest(_message.Message):
    __slots__ = ("min_position", "as_of")
    MIN_POSITION_FIELD_NUMBER: _ClassVar[int]
    AS_OF_FIELD_NUMBER: _ClassVar[int]
    min_position: int
    as_of: str
    def __init__(self, min_position: _Optional[int] = ..., as_of: _Optional[str] = ...) -> None: ...

class SagaSummary(_message.Message):
    __slots__ = ("states", "statuses", "money_open", "at_risk", "errors", "capped", "backlog")
    class StatesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class StatusesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class MoneyOpenEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class AtRiskEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: Amounts
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[Amounts, _Mapping]] = ...) -> None: ...
    STATES_FIELD_NUMBER: _ClassVar[int]
    STATUSES_FIELD_NUMBER: _ClassVar[int]
    MONEY_OPEN_FIELD_NUMBER: _ClassVar[int]
    AT_RISK_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    CAPPED_FIELD_NUMBER: _ClassVar[int]
    BACKLOG_FIELD_NUMBER: _ClassVar[int]
    states: _containers.ScalarMap[str, int]
    statuses: _containers.ScalarMap[str, int]
    money_open: _containers.ScalarMap[str, str]
    at_risk: _containers.MessageMap[str, Amounts]
    errors: _containers.RepeatedCompositeFieldContainer[SagaErrors]
    capped: bool
    backlog: Backlog
    def __init__(self, states: _Optional[_Mapping[str, int]] = ..., statuses: _Optional[_Mapping[str, int]] = ..., money_open: _Optional[_Mapping[str, str]] = ..., at_risk: _Optional[_Mapping[str, Amounts]] = ..., errors: _Optional[_Iterable[_Union[SagaErrors, _Mapping]]] = ..., capped: _Optional[bool] = ..., backlog: _Optional[_Union[Backlog, _Mapping]] = ...) -> None: ...

class Amounts(_message.Message):
    __slots__ = ("amounts",)
    class AmountsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    AMOUNTS_FIELD_NUMBER: _ClassVar[int]
    amounts: _containers.ScalarMap[str, str]
    def __init__(self, amounts: _Optional[_Mapping[str, str]] = ...) -> None: ...

class SagaErrors(_message.Message):
    __slots__ = ("error", "count", "saga_id", "since", "until")
    ERROR_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    SAGA_ID_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    error: str
    count: int
    saga_id: str
    since: _timestamp_pb2.Timestamp
    until: _timestamp_pb2.Timestamp
    def __init__(self, error: _Optional[str] = ..., count: _Optional[int] = ..., saga_id: _Optional[str] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Backlog(_message.Message):
    __slots__ = ("due", "due_for", "unstarted", "unstarted_for", "set_aside")
    DUE_FIELD_NUMBER: _ClassVar[int]
    DUE_FOR_FIELD_NUMBER: _ClassVar[int]
    UNSTARTED_FIELD_NUMBER: _ClassVar[int]
    UNSTARTED_FOR_FIELD_NUMBER: _ClassVar[int]
    SET_ASIDE_FIELD_NUMBER: _ClassVar[int]
    due: int
    due_for: float
    unstarted: int
    unstarted_for: float
    set_aside: int
    def __init__(self, due: _Optional[int] = ..., due_for: _Optional[float] = ..., unstarted: _Optional[int] = ..., unstarted_for: _Optional[float] = ..., set_aside: _Optional[int] = ...) -> None: ...

class GetStatsRequest(_message.Message):
    __slots__ = ("min_position", "as_of")
    MIN_POSITION_FIELD_NUMBER: _ClassVar[int]
    AS_OF_FIELD_NUMBER: _ClassVar[int]
    min_position: int
    as_of: str
    def __init__(self, min_position: _Optional[int] = ..., as_of: _Optional[str] = ...) -> None: ...

class Stats(_message.Message):
    __slots__ = ("head", "sales", "days", "sagas")
    class SagasEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    HEAD_FIELD_NUMBER: _ClassVar[int]
    SALES_FIELD_NUMBER: _ClassVar[int]
    DAYS_FIELD_NUMBER: _ClassVar[int]
    SAGAS_FIELD_NUMBER: _ClassVar[int]
    head: int
    sales: _containers.RepeatedCompositeFieldContainer[Sales]
    days: _containers.RepeatedCompositeFieldContainer[Sales]
    sagas: _containers.ScalarMap[str, int]
    def __init__(self, head: _Optional[int] = ..., sales: _Optional[_Iterable[_Union[Sales, _Mapping]]] = ..., days: _Optional[_Iterable[_Union[Sales, _Mapping]]] = ..., sagas: _Optional[_Mapping[str, int]] = ...) -> None: ...

class Sales(_message.Message):
    __slots__ = ("day", "currency", "orders", "confirmed", "cancelled", "revenue")
    DAY_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    ORDERS_FIELD_NUMBER: _ClassVar[int]
    CONFIRMED_FIELD_NUMBER: _ClassVar[int]
    CANCELLED_FIELD_NUMBER: _ClassVar[int]
    REVENUE_FIELD_NUMBER: _ClassVar[int]
    day: str
    currency: str
    orders: int
    confirmed: int
    cancelled: int
    revenue: str
    def __init__(self, day: _Optional[str] = ..., currency: _Optional[str] = ..., orders: _Optional[int] = ..., confirmed: _Optional[int] = ..., cancelled: _Optional[int] = ..., revenue: _Optional[str] = ...) -> None: ...

class ListReadersRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Readers(_message.Message):
    __slots__ = ("projections", "readers", "head")
    PROJECTIONS_FIELD_NUMBER: _ClassVar[int]
    READERS_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    projections: _containers.RepeatedCompositeFieldContainer[ReadModel]
    readers: _containers.RepeatedCompositeFieldContainer[Reader]
    head: int
    def __init__(self, projections: _Optional[_Iterable[_Union[ReadModel, _Mapping]]] = ..., readers: _Optional[_Iterable[_Union[Reader, _Mapping]]] = ..., head: _Optional[int] = ...) -> None: ...

class ReadModel(_message.Message):
    __slots__ = ("name", "reader", "position", "revision", "lag")
    NAME_FIELD_NUMBER: _ClassVar[int]
    READER_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    LAG_FIELD_NUMBER: _ClassVar[int]
    name: str
    reader: str
    position: int
    revision: str
    lag: Lag
    def __init__(self, name: _Optional[str] = ..., reader: _Optional[str] = ..., position: _Optional[int] = ..., revision: _Optional[str] = ..., lag: _Optional[_Union[Lag, _Mapping]] = ...) -> None: ...

class Reader(_message.Message):
    __slots__ = ("name", "position", "lag")
    NAME_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    LAG_FIELD_NUMBER: _ClassVar[int]
    name: str
    position: int
    lag: Lag
    def __init__(self, name: _Optional[str] = ..., position: _Optional[int] = ..., lag: _Optional[_Union[Lag, _Mapping]] = ...) -> None: ...

class Lag(_message.Message):
    __slots__ = ("events", "seconds")
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    events: int
    seconds: float
    def __init__(self, events: _Optional[int] = ..., seconds: _Optional[float] = ...) -> None: ...
